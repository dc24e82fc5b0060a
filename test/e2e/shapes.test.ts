/** Databases and transactions of unusual shapes. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, writeFileSync } from 'node:fs'
import { type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import type { SqlSession } from '../support/sqlSession.ts'
import { until } from '../support/until.ts'
import { makeDatabase, numbers, Reader, type Shape, Writer } from '../support/workload.ts'

interface Pair {
  readonly shape: Shape
  readonly leaderFlags?: readonly string[]
}

async function startPair(lab: Lab, { shape, leaderFlags = [] }: Pair) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, shape)
  const leader = await lab.leader(db, { flags: leaderFlags })
  const flags = ['--idle', '100ms']
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  return { db, leader, replica }
}

const SMALL_LIMITS = ['--history', '2MiB', '--batch', '64KiB']

for (const pageSize of [512, 4096, 65536]) {
  labTest(
    `VACUUM and a transaction larger than history and batch, pages of ${pageSize} bytes`,
    async (lab) => {
      const { db, leader, replica } = await startPair(lab, {
        shape: { pageSize },
        leaderFlags: SMALL_LIMITS,
      })
      const reader = new Reader(lab, { path: replica.db, holdMs: 50 })
      const writing = lab.modernSql(db)
      const large = numbers(
        6000,
        'INSERT INTO mixed (grp, body) SELECT n % 500, randomblob(1500) FROM numbers',
      )
      await writing.rows('PRAGMA cache_size=10')
      await writing.rows(large)
      await requireSame(lab, leader, replica)
      await writing.rows('BEGIN')
      await writing.rows('DELETE FROM mixed WHERE id % 3 = 0')
      await writing.rows('UPDATE mixed SET body = randomblob(1200)')
      await writing.rows('COMMIT')
      await writing.rows('VACUUM')
      await requireSame(lab, leader, replica)
      await writing.rows('DELETE FROM mixed')
      await writing.rows('VACUUM')
      await requireSame(lab, leader, replica)
      const { pages } = await replica.status()
      assert.ok(pages * pageSize < 4_000_000, 'the copy shrank too')
      await until('the file itself shrinks with the last backfill', () => replica.walBytes === 0)
      await requireSame(lab, leader, replica)
      await reader.stop()
      assert.equal((await leader.status()).epoch, 1)
    },
  )
}

labTest('incremental and full auto-vacuum are replicated', async (lab) => {
  const { db, leader, replica } = await startPair(lab, {
    shape: { autoVacuum: 'incremental', rows: 2000 },
  })
  const writing = lab.modernSql(db)
  await writing.rows('DELETE FROM mixed WHERE id < 1500')
  const before = await writing.value('PRAGMA page_count')
  await writing.rows('PRAGMA incremental_vacuum(100)')
  await requireSame(lab, leader, replica)
  await writing.rows('PRAGMA incremental_vacuum')
  assert.ok(Number(await writing.value('PRAGMA page_count')) < Number(before) - 100)
  await requireSame(lab, leader, replica)
  await writing.rows('PRAGMA auto_vacuum=full')
  await writing.rows('VACUUM')
  await writing.rows('DELETE FROM mixed WHERE id < 1900')
  await requireSame(lab, leader, replica)
})

for (const journalMode of ['delete', 'persist', 'wal'] as const) {
  labTest(`a database in ${journalMode} mode is adopted`, async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db, { journalMode })
    const open = lab.sql(db)
    await open.rows('SELECT count(*) FROM log')
    const leader = await lab.leader(db)
    assert.equal(
      leader.logged('switched the database to WAL mode').length,
      journalMode === 'wal' ? 0 : 1,
    )
    const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
    await open.rows('UPDATE accounts SET balance = balance + 0 WHERE id < 10')
    await requireSame(lab, leader, replica)
    assert.equal(await open.value('PRAGMA journal_mode'), 'wal')
  })
}

labTest('a closed database with frames in its WAL is adopted', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const writer = lab.sql(db)
  await writer.rows('PRAGMA wal_autocheckpoint=0')
  await writer.rows(
    numbers(500, 'INSERT INTO mixed (grp, body) SELECT n, randomblob(2000) FROM numbers'),
  )
  await writer.child.stop('SIGKILL')
  assert.ok(existsSync(`${db}-wal`))
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
  await requireSame(lab, leader, replica)
  await lab.exec(db, 'DELETE FROM mixed WHERE id < 300')
  await requireSame(lab, leader, replica)
})

for (const kind of ['an empty file', 'a database without tables']) {
  labTest(`${kind} is adopted and grows`, async (lab) => {
    const db = lab.path('leader.db')
    if (kind === 'an empty file') writeFileSync(db, '')
    else await lab.exec(db, 'PRAGMA user_version=7')
    const leader = await lab.leader(db)
    const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
    await waitLevel(leader, replica)
    await lab.exec(db, 'CREATE TABLE t (a)', 'INSERT INTO t VALUES (1), (2)')
    await requireSame(lab, leader, replica)
    assert.deepEqual(await lab.sql(replica.db).rows('SELECT a FROM t'), [[1], [2]])
  })
}

/** Spilled, rolled back to a savepoint, and then shorter than before. */
async function commitBadly(writing: SqlSession): Promise<void> {
  const insert = 'INSERT INTO mixed (grp, body) SELECT n, randomblob(700) FROM numbers'
  await writing.rows('BEGIN IMMEDIATE')
  await writing.rows("INSERT INTO log (who, body) VALUES ('a', randomblob(100))")
  await writing.rows("UPDATE meta SET value = (SELECT max(id) FROM log) WHERE key = 'last'")
  await writing.rows('SAVEPOINT s')
  await writing.rows(numbers(40, insert))
  await writing.rows('ROLLBACK TO s')
  await writing.rows(numbers(3, insert))
  await writing.rows('COMMIT')
}

labTest(
  'unchecksummed commits of an old SQLite keep the epoch and survive a crash',
  async (lab) => {
    const { db, leader, replica } = await startPair(lab, { shape: { pageSize: 512 } })
    const reader = new Reader(lab, { path: replica.db })
    const writing = lab.sql(db)
    await writing.rows('PRAGMA cache_size=5')
    const commit = async () => {
      await commitBadly(writing)
      await waitLevel(leader, replica)
    }
    const unverified = () => leader.metric('walcast_capture_unverified_frames_total')
    for (let round = 0; round < 5; round++) await commit()
    await requireSame(lab, leader, replica)
    for (let seen = await unverified(), round = 0; ; round++) {
      assert.ok(round < 50, 'this SQLite does not publish frames without checksums')
      await commit()
      const now = await unverified()
      if (now > seen) break
      seen = now
    }
    await until('the WAL has started over', () => leader.walBytes === 0)
    assert.equal((await leader.status()).epoch, 1)
    assert.deepEqual(leader.logged('lost its place'), [])
    const rows = "SELECT max(id), (SELECT value FROM meta WHERE key = 'last') FROM log"
    const committed = await writing.rows(rows)
    await requireSame(lab, leader, replica)
    // The files after a power failure: the wal-index is gone.
    await leader.stop('SIGKILL')
    const left = lab.path('left.db')
    for (const suffix of ['', '-wal']) cpSync(`${db}${suffix}`, `${left}${suffix}`)
    const recovered = lab.sql(left)
    assert.deepEqual(await recovered.rows(rows), committed)
    assert.deepEqual(await recovered.rows('PRAGMA integrity_check'), [['ok']])
    await reader.stop()
  },
)

labTest('a WAL with unchecksummed frames starts over once readers allow it', async (lab) => {
  const { db, leader, replica } = await startPair(lab, { shape: { pageSize: 512 } })
  const writing = lab.sql(db)
  await writing.rows('PRAGMA cache_size=5')
  const reading = lab.sql(db)
  await reading.rows('BEGIN')
  await reading.rows('SELECT count(*) FROM log')
  for (
    let round = 0;
    (await leader.metric('walcast_capture_unverified_frames_total')) === 0;
    round++
  ) {
    assert.ok(round < 50, 'this SQLite does not publish frames without checksums')
    await commitBadly(writing)
    await waitLevel(leader, replica)
  }
  const before = await leader.metric('walcast_checkpoints_total')
  await until(
    'it was tried',
    async () => (await leader.metric('walcast_checkpoints_total')) > before,
  )
  assert.ok(leader.walBytes > 0)
  await reading.rows('COMMIT')
  await until('the WAL has started over', () => leader.walBytes === 0, 60_000)
  assert.equal((await leader.status()).epoch, 1)
  await requireSame(lab, leader, replica)
})

labTest('many writers that open and close the database are replicated', async (lab) => {
  const { db, leader, replica } = await startPair(lab, { shape: { pageSize: 1024 } })
  const writer = new Writer(lab, 'python', { path: db, name: 'p', seed: 9 })
  for (let i = 0; i < 8; i++) {
    await lab.exec(
      db,
      'BEGIN IMMEDIATE',
      `INSERT INTO mixed (grp, body) VALUES (${i}, randomblob(5000))`,
      'COMMIT',
    )
  }
  await writer.stop()
  await requireSame(lab, leader, replica)
  assert.equal((await leader.status()).epoch, 1)
})
