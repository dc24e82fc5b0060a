/**
 * Where a first copy is made: beside the database, wherever the node folder lies, or into an empty
 * file that a program has open.
 */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest, nodeArguments, requireSame } from '../support/lab.ts'
import { sharedLab } from '../support/sharedLab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, numbers } from '../support/workload.ts'

/** A file system other than that of temporary folders. */
const ELSEWHERE = '/dev/shm'

async function newLeader(lab: Lab, rows = 200): Promise<TestNode> {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows })
  return lab.leader(db)
}

describe('copies of one leader', () => {
  const leaderTest = sharedLab((lab) => newLeader(lab))

  leaderTest('the node folder may lie on another file system', async (lab, leader) => {
    const folder = mkdtempSync(join(ELSEWHERE, 'walcast-test-'))
    lab.atEnd(() => rmSync(folder, { recursive: true, force: true }))
    assert.notEqual(statSync(folder).dev, statSync(lab.folder).dev, 'they are two file systems')
    const copy = lab.path('elsewhere.db')
    symlinkSync(folder, `${copy}-walcast`)
    const replica = await (await lab.replica(copy, leader)).ready()
    await requireSame(lab, leader, replica)
    assert.ok(existsSync(join(folder, 'node.json')), 'the node keeps its state there')
    assert.deepEqual(
      readdirSync(lab.folder).filter((name) => name.includes('incoming')),
      [],
    )

    // Rows kept aside are written there too.
    await replica.stop()
    await lab.exec(copy, "INSERT INTO mixed (id, body) VALUES (900001, x'0102')")
    await requireSame(lab, leader, await lab.restart(replica))
    await until('a bundle is there', () => readdirSync(join(folder, 'diverged')).length === 1)
  })

  leaderTest('a first copy fills an empty file that a program has open', async (lab, leader) => {
    const copy = lab.path('empty.db')
    const before = [lab.sql(copy), lab.modernSql(copy)]
    for (const session of before)
      assert.deepEqual(await session.rows('SELECT count(*) FROM sqlite_master'), [[0]])
    assert.equal(statSync(copy).size, 0)
    const { ino } = statSync(copy)
    const replica = await (await lab.replica(copy, leader)).ready()
    assert.equal(statSync(copy).ino, ino, 'it is the file that was there')
    for (const session of before)
      assert.deepEqual(
        await session.rows('SELECT count(*) FROM mixed'),
        [[200]],
        'without opening it again',
      )
    await lab.exec(leader.db, numbers(50, "INSERT INTO log (who) SELECT 'later' FROM numbers"))
    await requireSame(lab, leader, replica)
    for (const session of before) {
      assert.deepEqual(await session.rows('SELECT count(*) FROM log'), [[50]])
      await session.rows('PRAGMA busy_timeout = 200')
      assert.match((await session.attempt('DELETE FROM mixed')).error ?? '', /locked|BUSY/i)
      await session.close()
    }
    assert.equal(existsSync(`${copy}-walcast/diverged`), false, 'nothing was there to be kept')
  })

  leaderTest('a file that a program has begun to fill is left untouched', async (lab, leader) => {
    const refused = async (copy: string, key: string) => {
      const options = { db: copy, port: await freePort(), leader: leader.address }
      const child = lab.cli(nodeArguments('replica', options))
      const { code } = await child.ended
      assert.equal(code, 1, child.tail())
      assert.ok(
        child.err.some((line) => line.includes(key)),
        child.tail(),
      )
    }
    const journal = lab.path('journal.db')
    writeFileSync(journal, '')
    writeFileSync(`${journal}-journal`, 'of a transaction that has not ended')
    await refused(journal, 'DB_LOCKED')
    const wal = lab.path('wal.db')
    writeFileSync(wal, '')
    writeFileSync(`${wal}-wal`, 'a WAL')
    await refused(wal, 'STRAY_WAL')

    // Databases of one page with a schema, and files that are no databases.
    const view = lab.path('view.db')
    await lab.exec(view, 'PRAGMA journal_mode = WAL', 'CREATE VIEW v AS SELECT 1')
    const text = lab.path('text.db')
    writeFileSync(text, 'a'.repeat(4096))
    const busy = lab.path('busy.db')
    await lab.exec(busy, 'PRAGMA journal_mode = WAL', 'PRAGMA journal_mode = DELETE')
    const writer = lab.sql(busy)
    await writer.rows('BEGIN IMMEDIATE')
    await writer.rows('CREATE TABLE t (v)')
    for (const [db, key] of [
      [view, 'NOT_A_COPY'],
      [text, 'NOT_A_COPY'],
      [busy, 'DB_LOCKED'],
    ] as const) {
      const before = readFileSync(db)
      await refused(db, key)
      assert.ok(
        readFileSync(db).equals(before) && !existsSync(`${db}-walcast`),
        `${db} is untouched`,
      )
    }
    await writer.rows('ROLLBACK')
    await writer.close()

    // A program that fills the file after the replica has found it empty.
    const copy = lab.path('begun.db')
    writeFileSync(copy, '')
    const replica = await lab.replica(copy, '127.0.0.1:9')
    await lab.exec(copy, 'CREATE TABLE mine (a)', 'INSERT INTO mine VALUES (1)')
    const content = readFileSync(copy)
    await replica.stop()
    await refused(copy, 'NOT_A_COPY')
    assert.ok(readFileSync(copy).equals(content), 'it is untouched')
  })

  leaderTest(
    'a first copy fills a database without tables that programs have open',
    async (lab, leader) => {
      const copy = lab.path('schemaless.db')
      const before = [lab.sql(copy), lab.modernSql(copy)]
      for (const session of before) {
        await session.rows('PRAGMA journal_mode = WAL')
        assert.deepEqual(await session.rows('SELECT count(*) FROM sqlite_master'), [[0]])
      }
      const { ino, size } = statSync(copy)
      assert.equal(size, 4096, 'a header and no tables')
      const replica = await (await lab.replica(copy, leader)).ready()
      assert.equal(statSync(copy).ino, ino, 'it is the file that was there')
      for (const session of before) {
        assert.deepEqual(
          await session.rows('SELECT count(*) FROM mixed'),
          [[200]],
          'without opening it again',
        )
        await session.close()
      }
      await requireSame(lab, leader, replica)
      assert.equal(existsSync(`${copy}-walcast/diverged`), false, 'nothing was there to be kept')
      await requireSame(lab, leader, await lab.restart(await stopped(replica)))
    },
  )
})

labTest('a cut first copy into an empty file resumes at the next start', async (lab) => {
  const leader = await newLeader(lab, 20_000)
  const copy = lab.path('copy.db')
  writeFileSync(copy, '')
  writeFileSync(`${copy}-wal`, '')
  const first = await lab.replica(copy, leader)
  await until('it has begun', () => statSync(copy).size > 0)
  first.kill('SIGKILL')
  await first.child.ended
  const again = await (await lab.restart(first)).ready()
  await requireSame(lab, leader, again)
  assert.equal(existsSync(`${copy}-walcast/diverged`), false, 'nothing was there to be kept')
})

labTest('a database made while the node waits for its leader is filled too', async (lab) => {
  const copy = lab.path('copy.db')
  const port = await freePort()
  const waiting = await lab.replica(copy, `127.0.0.1:${port}`)
  await lab.exec(copy, 'PRAGMA journal_mode = WAL', 'SELECT count(*) FROM sqlite_master')
  const again = await lab.restart(await stopped(waiting))
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 200 })
  const leader = await lab.leader(db, { port })
  await requireSame(lab, leader, await again.ready())
})

labTest('a database with another page size is replaced by a new file', async (lab) => {
  const db = lab.path('leader.db')
  await lab.exec(db, 'PRAGMA page_size = 8192', 'CREATE TABLE t (v)', 'INSERT INTO t VALUES (1)')
  const leader = await lab.leader(db)
  const copy = lab.path('copy.db')
  await lab.exec(copy, 'PRAGMA journal_mode = WAL', 'SELECT count(*) FROM sqlite_master')
  const replica = await (await lab.replica(copy, leader)).ready()
  await requireSame(lab, leader, replica)
  assert.equal((await replica.status()).pageSize, 8192)
})

async function stopped(node: TestNode): Promise<TestNode> {
  await node.stop()
  return node
}
