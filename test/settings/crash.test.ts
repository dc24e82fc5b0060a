/** Settings written by processes that are killed, and by several at a time. */
import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import { Keyring, newKek } from '../../src/security/keyring.ts'
import { settings } from '../../src/settings/settings.ts'
import { type Lab, labTest } from '../support/lab.ts'

const KILLS = 8
const READS = 3000

function setUp(lab: Lab) {
  const path = lab.path('app.db')
  const db = new Database(path, { timeout: 30_000 })
  lab.atEnd(() => void db.close())
  db.pragma('journal_mode = wal')
  const keks = [newKek()]
  const write = (first: number) => {
    const child = lab.program('settingsWriter', { path, keks, first })
    child.expectEnd()
    return child
  }
  return { db, write, store: settings(db, Keyring.of(keks)) }
}

labTest('a writer that is killed leaves whole transactions that open', async (lab) => {
  const { write, store } = setUp(lab)
  let last = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const writer = write(last + 1)
    await writer.line((line) => Number(line) >= last + 3 + 5 * kill)
    await writer.stop('SIGKILL')
    const told = Number(writer.out.at(-1))
    const one = Number(store.get('one'))
    assert.ok(one === told || one === told + 1, `told ${told}, found ${one}`)
    assert.deepEqual(store.get('other'), { i: one })
    last = one
  }
})

labTest('several writers and a reader that keeps values never see a mixture', async (lab) => {
  const { db, write, store } = setUp(lab)
  const writers = [write(0), write(1_000_000)]
  for (const writer of writers) await writer.line((line) => line !== '')
  const seen = new Set<number>()
  const pair = db.transaction(() => [Number(store.get('one')), store.get('other')] as const)
  for (let i = 0; i < READS || seen.size < 20; i++) {
    const [one, other] = pair()
    assert.deepEqual(other, { i: one })
    // Outside a transaction the two may be of two commits, and each opens.
    seen.add(Number(store.get('one')))
    assert.notEqual(store.get('other'), undefined)
  }
  for (const writer of writers) {
    assert.equal(writer.end, undefined, writer.tail())
    await writer.stop('SIGKILL')
  }
})
