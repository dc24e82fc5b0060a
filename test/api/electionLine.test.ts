/** Automatic failover in one line: of a leader and of a replica, well and not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { electionLine, secondsText } from '../../src/api/electionLine.ts'
import type { ElectionReport } from '../../src/api/electionReport.ts'
import {
  AGREED,
  DECLINES,
  FOLLOWS,
  FOLLOWS_ALONE,
  LEADS,
  OVER,
} from '../support/electionReports.ts'

const SERVICE = 'etcd https://10.0.0.9:2379, ttl 5 s'
const AWAY = 'lock service AWAY for 12 s: etcd does not answer: ECONNREFUSED'
const CASES: readonly (readonly [ElectionReport, string])[] = [
  [LEADS, `this node leads by its lease, in epoch 4, for 3.3 s unless renewed; ${SERVICE}`],
  [
    AGREED,
    `this node leads by agreement of all members, in epoch 4, for 2.1 s unless renewed; ${AWAY}`,
  ],
  [OVER, `LEASE OVER: nobody may write here (node-b: no answer); ${AWAY}`],
  [FOLLOWS, `node-a holds the lease, in epoch 4; ${SERVICE}`],
  [FOLLOWS_ALONE, `not known who holds the lease (node-a had it last); ${AWAY}`],
  [
    DECLINES,
    `no node holds the lease (node-a had it last); not promoted: 12 transactions behind node-b; ` +
      SERVICE,
  ],
  [{ ...DECLINES, node: null, notPromoted: null }, `no node holds the lease; ${SERVICE}`],
  [
    { ...FOLLOWS, node: null, epoch: null },
    `a node that this one cannot read holds the lease; ${SERVICE}`,
  ],
]

for (const [report, line] of CASES) test(line, () => assert.equal(electionLine(report), line))

test('seconds have one digit where that tells something', () => {
  assert.deepEqual([1300, 5000, 12_700, 0].map(secondsText), ['1.3 s', '5 s', '13 s', '0 s'])
})
