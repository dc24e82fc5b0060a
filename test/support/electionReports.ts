/** What nodes tell of automatic failover, made up. */
import type { ElectionReport } from '../../src/api/electionReport.ts'

/** Of a replica, while all is well. */
export const FOLLOWS: ElectionReport = {
  service: 'etcd https://10.0.0.9:2379',
  ttlMs: 5000,
  isHeld: true,
  node: 'node-a',
  epoch: 4,
  validForMs: null,
  isByAgreement: false,
  counted: ['node-b'],
  awayForMs: null,
  awayBecause: null,
  notPromoted: null,
  disagreed: null,
}
/** Of the leader. */
export const LEADS: ElectionReport = { ...FOLLOWS, validForMs: 3312 }
const AWAY = { awayForMs: 12_400, awayBecause: 'etcd does not answer: ECONNREFUSED' }
/** The lock service is away. */
export const FOLLOWS_ALONE: ElectionReport = { ...FOLLOWS, ...AWAY }
export const AGREED: ElectionReport = { ...LEADS, ...AWAY, isByAgreement: true, validForMs: 2100 }
export const OVER: ElectionReport = {
  ...LEADS,
  ...AWAY,
  validForMs: 0,
  disagreed: 'node-b: no answer',
}
/** No node holds the lease. */
export const DECLINES: ElectionReport = {
  ...FOLLOWS,
  isHeld: false,
  notPromoted: '12 transactions behind node-b',
}
