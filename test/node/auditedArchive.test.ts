/** Who sets and removes pins and names in the archive of a node is in its audit log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ArchiveObjects } from '../../src/api/archiveObjects.ts'
import type { AuditEntry } from '../../src/api/audit.ts'
import { WalcastError } from '../../src/errors.ts'
import { AuditedArchive, type AuditedArchiveParts } from '../../src/node/auditedArchive.ts'

const UNTIL = Date.UTC(2026, 10, 30)
const PIN = `pins/${String(UNTIL).padStart(15, '0')}-${'b'.repeat(16)}.json`
const POINT = 'points/before.json'

function site(changed: Partial<ArchiveObjects> = {}) {
  const entries: AuditEntry[] = []
  const order: string[] = []
  const view = { role: () => 'replica', position: () => ({ epoch: 3, txid: 7 }) }
  const audit = {
    async append(entry: AuditEntry) {
      await null
      entries.push(entry)
      order.push('entry')
    },
  }
  const objects = {
    list: async () => ({ place: '/a', objects: [], isMore: false }),
    read: async () => ({ bytes: Buffer.alloc(0), objectBytes: 0 }),
    writeNote: async () => true,
    removeNote: async () => {},
    ...changed,
  }
  const archive = new AuditedArchive({
    ...{ objects, place: 2, by: 'ada@host (token a, 10.0.0.3)', audit },
    clock: { nowMs: () => 1000 },
    nodeFile: { record: { node: 'node-a', epoch: 3 } },
    databases: new Map([['main', { view }]]),
  } as unknown as AuditedArchiveParts)
  const told = () => entries.map(({ action, outcome, detail }) => [action, outcome, detail])
  return { archive, entries, told, order }
}

test('each of them is an entry, which is there before the answer', async () => {
  const { archive, entries, told, order } = site()
  assert.equal(await archive.writeNote(PIN, { files: ['a', 'b'] }), true)
  order.push('answer')
  assert.equal(await archive.writeNote(POINT, { incarnation: 'a', txid: 7, namedMs: 1 }), true)
  await archive.removeNote(POINT)
  await archive.removeNote(PIN)
  assert.deepEqual(order.slice(0, 2), ['entry', 'answer'])
  assert.deepEqual(told(), [
    ['pin', 'done', 'sets a pin until 2026-11-30T00:00:00.000Z: 2 files, place 2 of --backup'],
    ['point', 'done', 'sets before: txid 7, place 2 of --backup'],
    ['point', 'done', 'removes before, place 2 of --backup'],
    ['pin', 'done', 'removes a pin until 2026-11-30T00:00:00.000Z, place 2 of --backup'],
  ])
  assert.deepEqual(entries[0], {
    ...{ at: '1970-01-01T00:00:01.000Z', node: 'node-a', role: 'replica', epoch: 3, txid: 7 },
    ...{ by: 'ada@host (token a, 10.0.0.3)', action: 'pin', outcome: 'done' },
    detail: entries[0].detail,
  })
})

test('what is refused or fails is an entry too, and a look is none', async () => {
  const refuse = async () => {
    throw new WalcastError('BAD_REQUEST', { detail: 'it is no pin' })
  }
  const fail = async () => {
    throw new WalcastError('STORE_UNREACHABLE', { store: '/a', detail: 'gone' })
  }
  const { archive, told } = site({ writeNote: refuse, removeNote: fail })
  await assert.rejects(archive.writeNote('pins/a.json', {}), { key: 'BAD_REQUEST' })
  await assert.rejects(archive.removeNote('pins/999999999999999-a.json'), {
    key: 'STORE_UNREACHABLE',
  })
  await archive.list('points', '', '')
  await archive.read(PIN, 0, 1)
  assert.equal(told().length, 2)
  assert.deepEqual(told()[0].slice(0, 2), ['pin', 'refused'])
  assert.match(String(told()[0][2]), /^sets pins\/a\.json, place 2 .*: .*it is no pin/)
  assert.deepEqual(told()[1].slice(0, 2), ['pin', 'failed'])
})
