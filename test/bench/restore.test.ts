/** What the suite `restore` makes of its options and of what it measured. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { sqlite } from '../../bench/clients/sqlite.ts'
import { parseOptions, UsageError } from '../../bench/options.ts'
import { OrderTraffic } from '../../bench/orderTraffic.ts'
import { goalsOf } from '../../bench/report/goals.ts'
import type { KeptResult, KeptRow } from '../../bench/result.ts'
import { behindOf } from '../../bench/suites/archiveBehind.ts'
import { WalTail } from '../../bench/walTail.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-test-'))
after(() => rmSync(folder, { recursive: true }))

test('the parts of restore are its own', () => {
  const options = parseOptions(['restore', '--parts', 'writer,at', '--hours', '24'])
  assert.ok(options !== 'help')
  assert.deepEqual([options.restoreParts, options.parts, options.hours], [['writer', 'at'], [], 24])
  const standard = parseOptions(['restore'])
  assert.ok(standard !== 'help')
  assert.deepEqual(
    [standard.restoreParts.length, standard.databaseMb, standard.transactions],
    [6, 100, 10_000],
  )
  for (const args of [
    ['restore', '--parts', 'copy'],
    ['large', '--parts', 'writer'],
    ['lag', '--hours', '1'],
    ['restore', '--hours', '0'],
  ])
    assert.throws(() => parseOptions(args), UsageError, args.join(' '))
})

test('behind is the age of the oldest commit that a restore would not give', () => {
  const written = [1, 2, 3].map((i) => {
    const atNs = BigInt(100 * i)
    return { id: 10 + i, dueNs: atNs, begunNs: atNs, committedNs: atNs }
  })
  const at = (atNs: bigint, restorableId: number) => behindOf([{ atNs, restorableId }], written)
  assert.deepEqual(at(250n, 10), [150])
  assert.deepEqual(at(250n, 11), [50])
  assert.deepEqual(at(250n, 12), [0])
  // Row 13 comes at 300: at 250 nothing of it was to be lost.
  assert.deepEqual(at(300n, 12), [0])
  assert.deepEqual(at(300n, 5), [200])
  assert.deepEqual(at(99n, 0), [])
  assert.deepEqual(at(301n, 12), [])
})

test('each row of restore is held against its own aim', () => {
  const row = (part: string, more: Readonly<Record<string, number | readonly [number, number]>>) =>
    ({ system: 'walcast', part, case: 'x', ...more }) as KeptRow
  const rows = [
    row('writer', { costPercent: 5.1, aimCostPercent: 5, cpuUs: 9, archiveCpuUs: 2 }),
    row('lag', { addedP50Ms: -0.1, aimAddedP50Ms: 0.05 }),
    row('behind', { behindP99Ms: 999, aimP99Ms: 1000 }),
    row('restore', { ofAim: 1.2, seconds: 6, aimSeconds: 5, cpSeconds: 1 }),
    row('at', { p50Ms: 1001, aimP50Ms: 1000 }),
    { ...row('writer', { costPercent: 90 }), system: 'litestream' },
  ]
  const goals = goalsOf([{ suite: 'restore', rows, ratios: {} } as unknown as KeptResult])
  assert.deepEqual(
    goals.map(({ isMet }) => isMet),
    [false, true, true, false, false],
  )
  assert.equal(goals[0].because, "2 of the nodes' 9 µs of CPU for each commit")
  assert.match(goals[3].because, /^6 s, 5 s is the aim, 1 s takes cp$/)
})

test('orders are the same each time, and the WAL tells which pages a commit changed', async () => {
  const paths = ['a', 'b'].map((name) => join(folder, name))
  for (const path of paths) {
    const db = new Database(path)
    db.pragma('journal_mode = WAL')
    db.pragma('wal_autocheckpoint = 0')
    const traffic = new OrderTraffic(db, 0.2)
    const pageSize = Number(db.pragma('page_size', { simple: true }))
    const tail = new WalTail(path, pageSize)
    db.pragma('wal_checkpoint(TRUNCATE)')
    for (let number = 1; number <= 30; number++) {
      traffic.commit(number)
      const { images, dbPages, walBytes } = tail.next()
      assert.equal(dbPages, db.pragma('page_count', { simple: true }))
      assert.ok(images.size > 0 && walBytes >= images.size * (pageSize + 24))
      if (number !== 15) continue
      db.pragma('wal_checkpoint(TRUNCATE)')
      tail.restart()
    }
    assert.throws(() => tail.next(), /ends within a commit/)
    tail.close()
    db.close()
  }
  const [a, b] = await Promise.all(paths.map((path) => sqlite.digest(path)))
  assert.equal(a, b)
})
