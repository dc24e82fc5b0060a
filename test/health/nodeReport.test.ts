/** The answers of a node about itself: by database, with the fields of the only one at the top. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditSource } from '../../src/api/audit.ts'
import type { Databases, ServedDatabase } from '../../src/api/databases.ts'
import type { NodeFile } from '../../src/cluster/nodeFile.ts'
import { NodeReport, type NodeReportParts } from '../../src/health/nodeReport.ts'
import { OVER } from '../support/electionReports.ts'

const CAUSE = { code: 'slow-link', text: 'a slow link' }
const STATUS = { db: '/a.db', role: 'leader', state: 'capturing', txid: 7, causes: [CAUSE] }
const LAG = { role: 'leader', lagMs: 0, causes: [CAUSE] }
const DOWN = { url: 'http://a', state: 'down', accepts: false, detail: 'refused', held: 2 } as const

function reportOf(names: readonly string[], parts: Partial<NodeReportParts> = {}): NodeReport {
  const view = { status: () => STATUS, lag: () => LAG }
  const databases = new Map(
    names.map((name) => [name, { name, view } as unknown as ServedDatabase]),
  ) satisfies Databases
  const record = { node: 'n', cluster: 'c', members: [{ node: 'm', address: 'x:1' }] }
  return new NodeReport({
    databases,
    nodeFile: { record } as unknown as NodeFile,
    audit: { recent: (limit) => Array.from({ length: limit }) } as AuditSource,
    ack: 'one',
    version: '1.2.3',
    instance: { upMs: 4600 },
    pause: { now: undefined },
    application: () => undefined,
    backup: () => undefined,
    failedReads: () => undefined,
    ...parts,
  })
}

test('the fields of the only database stand under its name and at the top', () => {
  const { audit, ...status } = reportOf(['main']).status()
  assert.deepEqual(status, {
    ...STATUS,
    node: 'n',
    cluster: 'c',
    databases: { main: STATUS },
    members: [{ node: 'm', address: 'x:1' }],
    ack: 'one',
    version: '1.2.3',
    uptimeSeconds: 5,
  })
  assert.equal(audit?.length, 10)
  assert.deepEqual(reportOf(['main']).lag(), { ...LAG, databases: { main: LAG } })
})

test('an application that is down is a cause of the node, not of a database', () => {
  const status = reportOf(['main'], { application: () => DOWN }).status()
  assert.deepEqual(
    status.causes.map(({ code }) => code),
    ['slow-link', 'application-down'],
  )
  assert.deepEqual(status.databases['main'].causes, [CAUSE])
  assert.equal(status.application, DOWN)
})

test('automatic failover is told with its causes, and not at all without it', () => {
  const status = reportOf(['main'], { election: () => OVER }).status()
  assert.equal(status.election, OVER)
  assert.deepEqual(
    status.causes.map(({ code }) => code),
    ['slow-link', 'lease-over', 'lock-service-away'],
  )
  assert.equal('election' in reportOf(['main'], { election: () => undefined }).status(), false)
})

test('with no database or several, none is the only one', () => {
  for (const names of [[], ['main', 'other']]) {
    assert.throws(() => reportOf(names).status(), /databases/)
    assert.throws(() => reportOf(names).lag(), /databases/)
  }
})
