/** The audit log tells of strangers without being filled by them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEntry } from '../../src/api/audit.ts'
import { StrangerJournal } from '../../src/node/strangerJournal.ts'

const EVERY_MS = 600_000

interface Site {
  readonly journal: StrangerJournal
  readonly entries: AuditEntry[]
  readonly pass: (ms: number) => void
}

function newSite(): Site {
  const entries: AuditEntry[] = []
  let nowMs = 0
  const audit = { append: async (entry: AuditEntry) => void entries.push(entry) }
  const view = () => ({
    role: () => 'leader' as const,
    position: () => ({ epoch: 3, txid: 7 }),
  })
  const nodeFile = { record: { node: 'node-a', epoch: 3 } }
  const clock = { nowMs: () => 1000 }
  const journal = new StrangerJournal({ audit, clock, nodeFile, view }, () => nowMs)
  return {
    journal,
    entries,
    pass: (ms) => {
      nowMs += ms
    },
  }
}

test('one entry for each reason and address in a time, with the number of the others', () => {
  const { journal, entries, pass } = newSite()
  for (let i = 0; i < 1000; i++) journal.refused('known', '10.0.0.2:8470', 'its key was removed')
  journal.refused('known', '10.0.0.2:8470', 'it has no certificate')
  journal.onRefused('it has the key of node b', '10.0.0.3', 'node-c')
  journal.onRefused('it has another secret')
  const told = entries.map(({ by, detail }) => [by, detail])
  assert.deepEqual(told, [
    ['10.0.0.2:8470', 'its key was removed'],
    ['10.0.0.2:8470', 'it has no certificate'],
    ['node-c (10.0.0.3)', 'it has the key of node b'],
    ['unknown', 'it has another secret'],
  ])
  assert.deepEqual(entries[0], {
    ...{ at: '1970-01-01T00:00:01.000Z', node: 'node-a', action: 'peer', outcome: 'refused' },
    ...{ role: 'leader', epoch: 3, txid: 7, by: '10.0.0.2:8470', detail: 'its key was removed' },
  })
  pass(EVERY_MS - 1)
  journal.refused('known', '10.0.0.2:8470', 'its key was removed')
  assert.equal(entries.length, 4)
  pass(1)
  journal.refused('known', '10.0.0.2:8470', 'its key was removed')
  assert.equal(entries.at(-1)?.detail, 'its key was removed; 1000 more since the entry before')
})

test('a scanner with many addresses runs out of entries, and takes none from members', () => {
  const { journal, entries, pass } = newSite()
  for (let i = 0; i < 10_000; i++) journal.onRefused('it has another secret', `10.0.${i >> 8}.${i}`)
  assert.equal(entries.length, 5)
  journal.onRefused('it has the key of node b', '10.0.0.3', 'node-c')
  journal.refused('known', '10.0.0.2:8470', 'it has no certificate')
  assert.equal(entries.length, 7)
  pass(EVERY_MS)
  for (let i = 0; i < 10_000; i++) journal.onRefused('it has another secret', `10.1.${i >> 8}.${i}`)
  assert.equal(entries.length, 8)
})
