/** The audit log as it is read: notes push nothing else out. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import pino from 'pino'
import type { AuditEntry } from '../../src/api/audit.ts'
import { AuditLog } from '../../src/notify/auditLog.ts'
import { AuditTrail } from '../../src/notify/auditTrail.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'

const BEGIN_MS = Date.UTC(2026, 10, 30)
const entry = (second: number, action: AuditEntry['action']): AuditEntry => ({
  ...{ at: new Date(BEGIN_MS + second * 1000).toISOString(), node: 'n', action, outcome: 'done' },
  ...{ role: 'leader', epoch: 1, txid: second, by: 'ada' },
})
const txids = (entries: readonly AuditEntry[]) => entries.map(({ txid }) => txid)

test('entries of both come in the order of their times', () => {
  const of = (...entries: AuditEntry[]) => ({ recent: (limit: number) => entries.slice(-limit) })
  const own = of(entry(1, 'promote'), entry(4, 'demote'), entry(3, 'role'))
  const noted = { recent: (limit: number) => (limit === 0 ? [] : [entry(2, 'undo')]) }
  const trail = new AuditTrail(own, noted)
  assert.deepEqual(txids(trail.recent(10)), [1, 2, 4, 3], 'also where a clock was set back')
  assert.deepEqual(txids(trail.recent(1)), [3])
  assert.deepEqual(trail.recent(0), [])
})

test('however many notes come, what the node did stays in sight and on disk', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-trail-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const log = pino({ level: 'silent' })
  const open = () => {
    const own = new AuditLog(folder, systemFileOps, log)
    const noted = new AuditLog(folder, systemFileOps, log, { name: 'noted', maxBytes: 2000 })
    return { own, noted, trail: new AuditTrail(own, noted) }
  }
  const { own, noted, trail } = open()
  for (let i = 0; i < 5; i++) await own.append(entry(i, 'promote'))
  for (let i = 0; i < 300; i++) await noted.append(entry(1000 + i, 'undo'))
  const isOwn = ({ action }: AuditEntry) => action === 'promote'
  for (const each of [trail, open().trail]) {
    assert.deepEqual(txids(each.recent(200).filter(isOwn)), [0, 1, 2, 3, 4])
    assert.deepEqual(txids(each.recent(10)), [0, 1, 2, 3, 4, 1295, 1296, 1297, 1298, 1299])
    assert.deepEqual(txids(each.recent(4)), [3, 4, 1298, 1299])
  }
  const files = readdirSync(folder).sort()
  assert.deepEqual(files.slice(0, 2), ['audit.jsonl', 'noted.1.jsonl'])
})
