/** Who keeps a read transaction open: made-up looks, and a real process on a real database. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { test } from 'node:test'
import {
  foreignReadLocks,
  locksIn,
  mayBeOpenElsewhere,
  type ReadLock,
  showsEveryLock,
} from '../../src/sqlite/lockTable.ts'
import { LongReaders, processName } from '../../src/sqlite/longReaders.ts'
import { pinFile } from '../../src/sqlite/pinnedFiles.ts'
import { labTest } from '../support/lab.ts'
import { makeDatabase } from '../support/workload.ts'

/** Looks once a second at what `locks` gives, and tells `pid/seconds` of those held for 3 s. */
function follow(looks: readonly (readonly ReadLock[] | undefined)[], stepMs = 1000) {
  let now: readonly ReadLock[] | undefined
  const readers = new LongReaders(
    () => now?.slice(),
    () => 'x',
  )
  return looks.map((locks, i) => {
    now = locks
    const long = readers.look(1e6 + i * stepMs, 3000)
    return long?.map(({ pid, heldMs }) => `${pid}/${heldMs / 1000}`)
  })
}

const lock = (pid: number, slot = 1, mark = 10): ReadLock => ({ pid, slot, mark })

test('long is what is held at each look', () => {
  const held = Array.from({ length: 5 }, () => [lock(7)])
  assert.deepEqual(follow(held), [[], [], [], ['7/3'], ['7/4']])
  assert.deepEqual(follow([...held.slice(0, 3), [], ...held]).at(-1), ['7/4'])
  assert.deepEqual(follow(held.slice(0, 3).concat([[]])).at(-1), [])
})

test('a reader that reads again at a later frame, or under another lock, is not a long one', () => {
  assert.deepEqual(follow([0, 1, 2, 3, 4].map((i) => [lock(7, 1, 10 + i)])).at(-1), [])
  assert.deepEqual(follow([0, 1, 2, 3, 4].map((i) => [lock(7, 1 + (i % 2))])).at(-1), [])
})

test('of the locks of one process the oldest counts, and the longest come first', () => {
  const looks = [0, 1, 2, 3, 4].map((i) => [...(i > 0 ? [lock(8)] : []), lock(7, 2, i), lock(7, 1)])
  assert.deepEqual(follow(looks).at(-1), ['7/4', '8/3'])
})

test('what was not looked at for long begins anew', () => {
  const held = Array.from({ length: 3 }, () => [lock(7)])
  assert.deepEqual(follow(held, 6000).at(-1), [])
  assert.deepEqual(follow([undefined]), [undefined])
})

test('the lock table: this file on this device, or on the device that shows our own locks', () => {
  const table = `1: POSIX  ADVISORY  READ 100 fe:01:55 123 123
1: -> POSIX  ADVISORY  WRITE 101 fe:01:55 123 123
2: POSIX  ADVISORY  READ 100 fe:02:55 124 124
3: FLOCK  ADVISORY  WRITE 100 fe:01:55 0 EOF
4: OFDLCK ADVISORY  READ -1 fe:01:55 125 125
5: POSIX  ADVISORY  WRITE 102 fe:01:155 0 EOF
6: POSIX  ADVISORY  READ 103 00:1c:55 120 EOF
7: POSIX  ADVISORY  READ 104 00:1c:55 126 126
`
  const pids = (name: string, own: number) => locksIn(table, 55n, name, own).map(({ pid }) => pid)
  assert.deepEqual(pids('fe:01:55', 103), [100])
  assert.deepEqual(pids('fe:09:55', 103), [103, 104], 'the device differs from that of stat(2)')
  assert.deepEqual(pids('fe:09:55', 1), [])
  assert.equal(locksIn(table, 55n, '00:1c:55', 1)[0].last, Number.POSITIVE_INFINITY)
})

labTest(
  'a database that no other process is seen to have open, where some may be unseen',
  async (lab) => {
    assert.equal(showsEveryLock('pid:[4026531836]'), true)
    assert.equal(showsEveryLock('pid:[4026532201]'), false, 'a container')
    const path = lab.path('a.db')
    await makeDatabase(lab, path)
    const database = pinFile(path)
    const isOpen = (seesAll: boolean) => mayBeOpenElsewhere(database, process.pid, seesAll)
    assert.deepEqual([isOpen(true), isOpen(false)], [false, true])
    await lab.sql(path).rows('SELECT 1 FROM sqlite_schema')
    assert.deepEqual([isOpen(true), isOpen(false)], [true, true])
  },
)

test('the name of a process, of one that is gone, too', () => {
  assert.match(processName(process.pid), /^[\x20-\x7e]{1,15}$/)
  assert.equal(processName(2 ** 30), '?')
})

labTest('a real reader holds a lock at one frame as long as its transaction lasts', async (lab) => {
  const path = lab.path('a.db')
  await makeDatabase(lab, path)
  const [reader, writer] = [lab.sql(path), lab.modernSql(path)]
  const count = 'SELECT count(*) FROM log'
  await writer.rows('PRAGMA wal_autocheckpoint=0')
  await writer.rows("INSERT INTO log (who) VALUES ('a')")
  await reader.rows(count)
  assert.ok(statSync(`${path}-shm`).size > 0)
  const shm = pinFile(`${path}-shm`)
  assert.deepEqual(foreignReadLocks(shm), [])
  await reader.rows('BEGIN')
  await reader.rows(count)
  const [first] = foreignReadLocks(shm) ?? []
  assert.equal(first.pid, reader.child.pid)
  assert.ok(first.mark > 0)
  await writer.rows("INSERT INTO log (who) VALUES ('b')")
  assert.deepEqual(foreignReadLocks(shm), [first])
  await reader.rows('COMMIT')
  await reader.rows('BEGIN')
  await reader.rows(count)
  const [second] = foreignReadLocks(shm) ?? []
  assert.ok(second.mark > first.mark, 'a new transaction reads a later frame')
  await reader.rows('COMMIT')
  assert.deepEqual(foreignReadLocks(shm), [])
  assert.match(processName(reader.child.pid), /^python/)
})
