/** Names of dated snapshots, and which of them a policy lets go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type DatedSnapshot,
  databaseName,
  formatDatedName,
  newestOf,
  notKept,
  parseDatedName,
} from '../../../src/backup/dated/datedNames.ts'
import { isObjectName } from '../../../src/backup/stores/store.ts'
import { parseKeep } from '../../../src/options/keepPolicy.ts'

const NOON = Date.parse('2026-11-30T12:00:00Z')
const HOUR = 3_600_000

function snapshot(hoursAgo: number, bytes = 1): DatedSnapshot {
  const timeMs = NOON - hoursAgo * HOUR
  const position = { epoch: 1, txid: 1000 - hoursAgo }
  const name = formatDatedName({ database: 'app', timeMs, position })
  return { database: 'app', timeMs, position, name, bytes }
}

/** As a clock that is 100 days ahead names it. */
function inFuture(of: DatedSnapshot): DatedSnapshot {
  const timeMs = of.timeMs + 2400 * HOUR
  return { ...of, timeMs, name: formatDatedName({ ...of, timeMs }) }
}

/** How many hours ago those that go were made. */
function gone(policy: string, found: readonly DatedSnapshot[]): number[] {
  const dropped = notKept(found, parseKeep(policy), NOON)
  return dropped.map(({ timeMs }) => (NOON - timeMs) / HOUR).sort((a, b) => a - b)
}

test('a name says of which database, of when and of which position it is', () => {
  const about = {
    database: 'app',
    timeMs: Date.parse('2026-11-30T14:02:07Z'),
    position: { epoch: 1, txid: 105 },
  }
  const name = 'app/app-2026-11-30T140207Z-1-105.db.gz'
  assert.equal(formatDatedName(about), name)
  assert.deepEqual(parseDatedName(name), about)
  for (const other of [
    'app/other-2026-11-30T140207Z-1-105.db.gz',
    'app/app-2026-13-30T140207Z-1-105.db.gz',
    'app/app-2026-11-30T140207Z-1-105.db.gz.part',
    'app/notes.txt',
  ])
    assert.equal(parseDatedName(other), undefined, other)
})

test('any file of a database has a name that places take', () => {
  for (const [path, expected] of [
    ['/srv/app.db', 'app'],
    ['/srv/my shop.sqlite3', 'my_shop'],
    ['.hidden', '_hidden'],
    [`/${'x'.repeat(200)}`, 'x'.repeat(64)],
    ['.db', 'database'],
  ]) {
    const name = databaseName(path)
    assert.equal(name, expected)
    const position = { epoch: 9e14, txid: 9e14 }
    const whole = formatDatedName({ database: name, timeMs: NOON, position })
    assert.ok(isObjectName(whole), whole)
    assert.equal(parseDatedName(whole)?.database, name)
  }
})

test('the newest stay, and the last one of each period of a window', () => {
  const found = [0, 1, 2, 13, 14, 36, 37, 100].map((hours) => snapshot(hours))
  assert.deepEqual(gone('3', found), [13, 14, 36, 37, 100])
  assert.deepEqual(gone('1,48h:all', found), [100])
  // Noon is 12 h after midnight: 13, 14 and 36 are of the day before, 37 of the one before that.
  assert.deepEqual(gone('1,2d:daily', found), [1, 2, 14, 36, 100])
  assert.deepEqual(gone('7d:all', found), [])
})

test('a size lets go the oldest, and never the newest', () => {
  const mib = 1024 ** 2
  const found = [0, 1, 2, 3].map((hours) => snapshot(hours, mib))
  assert.deepEqual(gone('4,2MiB', found), [2, 3])
  assert.deepEqual(gone('4,1MiB', [snapshot(0, 9 * mib), snapshot(1, mib)]), [1])
})

test('after a clock that was ahead the next ones are the newest all the same', () => {
  const ahead = [5, 4].map((ago) => snapshot(ago)).map((each) => inFuture(each))
  const next = [1, 0].map((ago) => snapshot(ago))
  const dropped = notKept([...ahead, ...next], parseKeep('2'), NOON)
  assert.deepEqual(dropped.map(({ name }) => name).sort(), ahead.map(({ name }) => name).sort())
})

test('the one just made stays beside those of a longer history', () => {
  const position = { epoch: 1, txid: 3 }
  const name = formatDatedName({ database: 'app', timeMs: NOON, position })
  const made = { database: 'app', timeMs: NOON, position, name, bytes: 1 }
  const found = [made, snapshot(1), snapshot(2)]
  const dropped = notKept(found, parseKeep('1'), NOON, name)
  assert.deepEqual(dropped, [snapshot(1), snapshot(2)])
})

test('a history that began anew has its own newest ones, windows and share of a size', () => {
  const mib = 1024 ** 2
  const old = [100, 90, 80, 70].map((ago) => snapshot(ago, mib))
  const anew = [3, 2, 1].map((ago) => {
    const { timeMs } = snapshot(ago)
    const position = { epoch: 1, txid: 10 - ago }
    const name = formatDatedName({ database: 'app', timeMs, position })
    return { database: 'app', timeMs, position, name, bytes: mib }
  })
  const found = [...old, ...anew]
  assert.deepEqual(gone('2', found), [3, 90, 100])
  assert.deepEqual(gone('1,30h:hourly', found), [80, 90, 100])
  assert.deepEqual(gone('4,4MiB', found), [3, 90, 100])
  assert.equal(newestOf(found, NOON), anew[2])
  assert.equal(newestOf([...old.map(inFuture), ...anew], NOON), anew[2])
  assert.equal(newestOf(old.map(inFuture), NOON)?.position.txid, 930)
})
