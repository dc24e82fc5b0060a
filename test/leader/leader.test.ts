/**
 * A leader at its ends. One that lost its place while it is about to hand over: what begins anew is
 * drained, too. One that has stopped still tells where it stood.
 */
import assert from 'node:assert/strict'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import { pino } from 'pino'
import { type Lineage, withIncarnation } from '../../proto/lineage.ts'
import { ReplicaList } from '../../src/feed/replicaList.ts'
import { Leader } from '../../src/leader/leader.ts'
import type { LeaderOptions } from '../../src/leader/leaderOptions.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { Claims } from '../../src/security/claims.ts'
import { WRITE_LOCK_CONNECTION } from '../../src/sqlite/heldDatabase.ts'
import { ReadGuard } from '../../src/sqlite/readGuard.ts'
import { exec, SqliteThread } from '../../src/sqlite/sqliteThread.ts'
import { frameBytes } from '../../src/sqlite/walFormat.ts'

const PAGE_SIZE = 4096

function optionsFor(path: string, stateFolder: string): LeaderOptions {
  const saved = { epoch: 0, txidCeiling: 0, incarnation: '' }
  let lineage: Lineage = []
  return {
    db: 'd',
    countsReplica: () => true,
    path,
    stateFolder,
    version: '0',
    address: '',
    identity: {
      node: 'n',
      cluster: 'c',
      instance: '0123456789abcdef',
      epoch: () => saved.epoch,
      incarnation: () => saved.incarnation,
      raised: () => undefined,
      insist: async () => {},
      txidCeiling: () => saved.txidCeiling,
      lineage: () => lineage,
      term: () => 0,
      members: () => [],
      save: async ({ epoch, txidCeiling, begun }) => {
        Object.assign(saved, { epoch, txidCeiling, incarnation: begun.id })
        lineage = withIncarnation(lineage, begun)
      },
      raiseCeiling: async (txidCeiling) => void Object.assign(saved, { txidCeiling }),
    },
    log: pino({ level: 'silent' }),
    clock: systemClock,
    ops: systemFileOps,
    checkpoint: {
      softWalFrames: 10_000,
      hardWalFrames: 20_000,
      maxWalBytes: 1e9,
      fenceTimeoutMs: 100,
    },
    wake: { pollAbovePerSecond: 1000, pollMs: 5, idleMs: 60_000 },
    session: { maxBufferedBytes: 1024 * 1024, stallMs: 1000, helloTimeoutMs: 1000 },
    historyBytes: 1024 * 1024,
    batchBytes: 1024 * 1024,
    maxReplicas: 1,
    heartbeatMs: 60_000,
    replicas: new ReplicaList(systemClock, 'leader'),
    maxAckWaits: 1,
    claims: new Claims(() => ({ epoch: saved.epoch, txid: saved.txidCeiling })),
    observer: {
      onBatch() {},
      onPass() {},
      onUnverified() {},
      onSent() {},
      onBadMessage() {},
      onEpoch() {},
      onPutBack() {},
      onHigherEpoch() {},
      onFatal: (error) => assert.fail(error.line),
    },
  }
}

/** A leader whose guard keeps the WAL from being reset, and an application in the same process. */
async function startWorld(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-leader-'))
  const path = join(folder, 'app.db')
  const stateFolder = join(folder, 'state')
  mkdirSync(stateFolder)
  const app = new Database(path, { timeout: 0 })
  app.pragma(`page_size = ${PAGE_SIZE}`)
  app.pragma('journal_mode = wal')
  app.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  const thread = new SqliteThread()
  const leader = await Leader.open(optionsFor(path, stateFolder), thread)
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= leader.stop()
    return stopping
  }
  t.after(async () => {
    try {
      await stop()
    } finally {
      await thread.stop([WRITE_LOCK_CONNECTION])
    }
    app.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { path, app, thread, leader, stop }
}

/** Commits that capture can never read. */
async function loseCommits(app: Database.Database, thread: SqliteThread): Promise<void> {
  await thread.attempt(...ReadGuard.connections.map((guard) => exec(guard, 'COMMIT')))
  app.exec('INSERT INTO t VALUES (2)')
  app.pragma('wal_checkpoint(TRUNCATE)')
  app.exec('INSERT INTO t VALUES (3)')
}

/** Its last frame has no checksum, as SQLite before 3.41 can leave one. */
function breakWal(path: string): void {
  const bytes = frameBytes(PAGE_SIZE)
  const { size } = statSync(`${path}-wal`)
  // Closing it is harmless: locks lie on the other two files.
  const fd = openSync(`${path}-wal`, 'r+')
  writeSync(fd, Buffer.alloc(8), 0, 8, size - bytes + 16)
  closeSync(fd)
}

test('a leader that meets lost commits as it drains begins anew and drains that', async (t) => {
  const { app, thread, leader } = await startWorld(t)
  await loseCommits(app, thread)
  const { epoch } = await leader.drain()
  assert.equal(epoch, 2)
  assert.equal(leader.status.capturing, true)
})

test('a leader that begins anew is drained when it has, and handed over', async (t) => {
  const { app, thread, leader } = await startWorld(t)
  await loseCommits(app, thread)
  const { incarnation: first } = leader.position
  leader.look()
  assert.equal(leader.status.capturing, false)
  await leader.takeFence(5000)
  const { epoch, txid } = await leader.drain()
  const { incarnation } = leader.position
  assert.notEqual(incarnation, first)
  const held = await leader.handOver(undefined)
  assert.deepEqual(held.position, { epoch, incarnation, txid })
})

test('frames that do not verify are backfilled under the fence that is there', async (t) => {
  const { path, app, leader } = await startWorld(t)
  const fenced = leader.takeFence(5000)
  app.exec('INSERT INTO t VALUES (2)')
  breakWal(path)
  await fenced
  const { epoch, txid } = await leader.drain()
  assert.equal(epoch, 2)
  await leader.admitWriters()
  app.exec('INSERT INTO t VALUES (3)')
  assert.deepEqual(await leader.settle(), { epoch, txid: txid + 1 })
})

test('a leader that has stopped tells where it stood', async (t) => {
  const { app, leader, stop } = await startWorld(t)
  app.exec('INSERT INTO t VALUES (2)')
  leader.look()
  const { txid, walFileBytes } = leader.status
  assert.ok(walFileBytes > 0)
  await stop()
  assert.deepEqual({ ...leader.status, txid, walFileBytes }, leader.status)
})
