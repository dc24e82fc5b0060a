/**
 * A leader beside a working application: none of its transactions is refused, and its own
 * checkpoints do not wait.
 */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Child } from '../support/child.ts'
import { campaignTest, type Lab, labTest } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'

const BENCH_PROGRAMS = fileURLToPath(new URL('../../bench/programs', import.meta.url))
/** No heartbeat moves a guard during a test. */
const NO_HEARTBEAT = ['--heartbeat', '1h']

async function makeDatabase(lab: Lab): Promise<string> {
  const db = lab.path('app.db')
  await lab.exec(db, 'PRAGMA journal_mode = WAL', 'CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)')
  return db
}

interface Written {
  readonly commits: number
  readonly refused: number
}

/** Transactions that read before they write. */
async function startGuest(
  lab: Lab,
  db: string,
  rate: number,
  seconds: number,
  bytes = 300,
): Promise<Child> {
  const flags = { db, rate, seconds, 'value-bytes': bytes, 'busy-ms': 15_000, autocheckpoint: 1000 }
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = lab.spawn('guestWriter', process.execPath, [
    `${BENCH_PROGRAMS}/guestWriter.js`,
    ...args,
  ])
  await child.line((line) => line === 'ready')
  child.expectEnd()
  child.write('go')
  return child
}

async function written(child: Child): Promise<Written> {
  const { text } = await child.line((line) => line.startsWith('{'), 0, 240_000)
  return JSON.parse(text)
}

async function metric(node: TestNode, name: string): Promise<number> {
  const { text } = await node.get('/metrics')
  const line = text.split('\n').find((each) => each.startsWith(`${name} `))
  assert.ok(line, `no metric ${name}`)
  return Number(line.slice(name.length + 1))
}

labTest(
  'transactions that read before they write succeed, and the WAL stays small',
  async (lab) => {
    const db = await makeDatabase(lab)
    const leader = await (await lab.leader(db)).ready()
    for (const [rate, bytes] of [
      [1000, 300],
      [100, 100_000],
    ]) {
      const guest = await startGuest(lab, db, rate, 4, bytes)
      assert.equal((await written(guest)).refused, 0, `${rate}/s of ${bytes} bytes`)
    }
    assert.equal(
      await metric(leader, 'walcast_checkpoint_pause_seconds_count'),
      0,
      'writers were stopped',
    )
    assert.ok((await metric(leader, 'walcast_checkpoint_frames_total')) > 1000)
  },
)

campaignTest('starting a node beside a busy application refuses no transaction', async (lab) => {
  const db = await makeDatabase(lab)
  const guest = await startGuest(lab, db, 100, 20)
  let starts = 0
  while (!guest.out.some((line) => line.startsWith('{')) && starts < 50) {
    const leader = await (await lab.leader(db)).ready()
    await leader.stop(starts++ % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
  }
  const { refused, commits } = await written(guest)
  assert.equal(refused, 0, `of ${commits + refused} in ${starts} starts`)
  assert.ok(starts > 1)
})

labTest("an application's own checkpoints finish without heartbeats", async (lab) => {
  const db = await makeDatabase(lab)
  const leader = await (await lab.leader(db, { flags: NO_HEARTBEAT })).ready()
  const writer = lab.sql(db)
  const checkpointer = lab.sql(db, { timeoutMs: 60_000 })
  for (let i = 0; i < 6; i++)
    for (const mode of ['FULL', 'RESTART', 'TRUNCATE']) {
      for (let j = 0; j <= i; j++) await writer.rows('INSERT INTO t(v) VALUES (1)')
      const [[busy, frames, backfilled]] = await checkpointer.rows(`PRAGMA wal_checkpoint(${mode})`)
      assert.deepEqual([busy, backfilled], [0, frames], `${mode}, round ${i}`)
    }
  const guest = await startGuest(lab, db, 200, 3)
  for (let i = 0; i < 5; i++) {
    const [[busy]] = await checkpointer.rows('PRAGMA wal_checkpoint(TRUNCATE)')
    assert.equal(busy, 0, 'beside a writer')
  }
  await written(guest)
  assert.equal((await leader.status()).epoch, 1)
})

labTest(
  "an application's own checkpoint after its long read does not wait for the guard",
  async (lab) => {
    const db = await makeDatabase(lab)
    await (await lab.leader(db, { flags: NO_HEARTBEAT })).ready()
    const [writer, reader] = [lab.sql(db), lab.sql(db)]
    const checkpointer = lab.sql(db, { timeoutMs: 30_000 })
    await writer.rows('INSERT INTO t(v) VALUES (1)')
    await reader.rows('BEGIN')
    await reader.rows('SELECT count(*) FROM t')
    await writer.rows('INSERT INTO t(v) VALUES (2)')
    // Longer than the leader polls at short intervals.
    await delay(5000)
    await reader.rows('COMMIT')
    for (const mode of ['TRUNCATE', 'RESTART']) {
      const [[busy]] = await checkpointer.rows(`PRAGMA wal_checkpoint(${mode})`)
      assert.equal(busy, 0, mode)
    }
  },
)

labTest('the WAL file is truncated when quiet after a large transaction', async (lab) => {
  const db = await makeDatabase(lab)
  const leader = await (await lab.leader(db, { flags: ['--heartbeat', '50ms'] })).ready()
  const writer = lab.sql(db)
  await writer.rows(
    'INSERT INTO t(v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i ' +
      '< 8000) SELECT randomblob(4000) FROM n',
  )
  const most = (await leader.status()).walFileBytes
  assert.ok(most > 30_000_000)
  assert.equal(statSync(`${db}-wal`).size, most)
  await until(
    'the file is cut',
    async () => (await leader.status()).walFileBytes < 1_000_000,
    60_000,
  )
  await writer.rows('INSERT INTO t(v) VALUES (1)')
  const { epoch, txid } = await leader.status()
  await until('capture goes on', async () => (await leader.status()).txid > txid || txid >= 3)
  assert.equal(epoch, 1, 'capture lost its place')
})
