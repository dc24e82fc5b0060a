/** An open copy: its checkpoints, its syncs, and how it passes to the engine of another role. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { pino } from 'pino'
import { keyOf, type WalcastError } from '../../../src/errors.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { Copy } from '../../../src/replica/copy/copy.ts'
import { CopyAccess } from '../../../src/replica/copy/copyAccess.ts'
import type { CopyHost, CopyOptions } from '../../../src/replica/copy/copyOptions.ts'
import { NO_COUNTERS } from '../../../src/sqlite/databaseHeader.ts'
import { PositionLog } from '../../../src/sqlite/positionLog.ts'
import { SqliteThread } from '../../../src/sqlite/sqliteThread.ts'
import { span, until } from '../../support/until.ts'

/** The position record of an empty WAL in the first epoch. */
const PLACE = {
  epoch: 1,
  incarnation: '0'.repeat(16),
  salt1: 0,
  salt2: 0,
  frame: 0,
  s0: 0,
  s1: 0,
  ...NO_COUNTERS,
}

interface World {
  readonly options: CopyOptions
  readonly host: CopyHost
  /** A foreign connection, which never waits for a lock. */
  readonly other: Database.Database
  readonly checkpoints: { count: number }
  readonly strays: WalcastError[]
}

/** The surroundings of a copy, and a file with one commit. */
function startWorld(t: TestContext): World {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-copy-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'copy.db')
  mkdirSync(join(folder, 'state'))
  const other = new Database(path, { timeout: 0 })
  t.after(() => other.close())
  other.pragma('journal_mode = wal')
  other.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  const thread = new SqliteThread()
  t.after(() => thread.stop([]))
  const checkpoints = { count: 0 }
  const strays: WalcastError[] = []
  const log = pino({ level: 'silent' })
  return {
    options: {
      path,
      thread,
      ops: systemFileOps,
      clock: systemClock,
      log,
      positions: new PositionLog(join(folder, 'state', 'positions'), systemFileOps),
      walBytes: 4096,
      access: new CopyAccess({ path, leaderMode: () => undefined, log }),
      lockTimeoutMs: 1000,
    },
    host: {
      hold: () => () => {},
      onCheckpoint() {
        checkpoints.count++
      },
      onDurable() {},
      onStray: (error) => strays.push(error),
      onFatal: (error) => assert.fail(error.line),
    },
    other,
    checkpoints,
    strays,
  }
}

test('no checkpoint begins during undisturbed work; a closed copy refuses the work', async (t) => {
  const { options, host, other, checkpoints, strays } = startWorld(t)
  const copy = await Copy.open(options, host, options.positions.known)
  const write = () => other.exec('INSERT INTO t VALUES (2)')
  await copy.checkpoints.undisturbed(async () => {
    copy.checkpoints.onIdle()
    for (let i = 0; i < 200; i++) {
      await immediate()
      assert.throws(write, /locked/)
    }
  })
  assert.equal(checkpoints.count, 0)
  copy.checkpoints.onIdle()
  await until('a checkpoint runs', () => checkpoints.count > 0)
  await copy.close()
  await assert.rejects(
    copy.checkpoints.undisturbed(async () => {}),
    (error) => keyOf(error) === 'STOPPING',
  )
  assert.deepEqual(strays, [])
  options.positions.close(true)
})

test('after a failed sync beside a checkpoint nothing counts as durable', async (t) => {
  const { options, host, checkpoints } = startWorld(t)
  const { thread, positions } = options
  positions.append({ ...PLACE, txid: 5, checksum: 0n, pages: 0 })
  const copy = await Copy.open(options, host, positions.known)
  const attempt = thread.attempt.bind(thread)
  // The kernel reports it once, and for these descriptors only.
  thread.attempt = async (...steps) => {
    const results = await attempt(...steps)
    return results.map((result, i) =>
      steps[i].kind === 'sync'
        ? { ok: false, code: 'EIO', detail: 'EIO: i/o error, fdatasync' }
        : result,
    )
  }
  copy.applier.enter({ epoch: 2, incarnation: 'a'.repeat(16) })
  await copy.durability.reach()
  copy.checkpoints.onIdle()
  await until('a checkpoint', () => checkpoints.count > 0)
  copy.applier.enter({ epoch: 3, incarnation: 'b'.repeat(16) })
  await assert.rejects(copy.durability.reach(), /EIO/)
  await copy.close()
  positions.close(true)
})

test('closing syncs the copy first, and returns whether that worked', async (t) => {
  for (const isBroken of [false, true]) {
    const { options, host } = startWorld(t)
    const { thread, positions } = options
    const copy = await Copy.open(options, host, positions.known)
    const attempt = thread.attempt.bind(thread)
    const kinds: string[] = []
    thread.attempt = async (...steps) => {
      kinds.push(...steps.map(({ kind }) => kind))
      const results = await attempt(...steps)
      return results.map((result, i) =>
        isBroken && steps[i].kind === 'sync' ? { ok: false, code: 'EIO', detail: 'EIO' } : result,
      )
    }
    assert.equal(await copy.close(), !isBroken)
    assert.ok(
      kinds.indexOf('sync') >= 0 && kinds.indexOf('sync') < kinds.indexOf('close'),
      kinds.join(' '),
    )
    positions.close(!isBroken)
  }
})

test('a handover waits for a running sync; a refused one harms no later role', async (t) => {
  const { options, host } = startWorld(t)
  const { thread, positions } = options
  positions.append({ ...PLACE, txid: 5, checksum: 0n, pages: 0 })
  let endSync = () => {}
  const syncing = new Promise<void>((resolve) => {
    endSync = resolve
  })
  const slow = { ...systemFileOps, syncAside: () => syncing }
  const copy = await Copy.open({ ...options, ops: slow }, host, positions.known)
  const order: string[] = []
  const synced = copy.durability.reach().then(() => order.push('synced'))
  const run = thread.run.bind(thread)
  thread.run = async (...steps) => {
    const value = await run(...steps)
    setImmediate(endSync)
    return value
  }
  const held = await copy.handOver()
  order.push('handed over')
  await synced
  assert.deepEqual(order, ['synced', 'handed over'])
  copy.applier.enter({ epoch: 2, incarnation: 'a'.repeat(16) })
  await assert.rejects(copy.durability.reach(), (error) => keyOf(error) === 'STOPPING')
  const next = await Copy.takeOver(options, host, held)
  await next.durability.reach()
  assert.equal(next.durability.txid(1), 5)
  await next.close()
  positions.close(true)
})

test('the wait for a foreign writer is bounded; the next role knows of its write', async (t) => {
  const { options, host, other, strays } = startWorld(t)
  const { positions } = options
  const first = await Copy.open(options, host, positions.known)
  const { state: checksum, pages } = first.applier.sums
  positions.append({ ...PLACE, txid: 1, checksum, pages })
  const copy = await Copy.takeOver(options, host, await first.handOver())
  assert.ok(copy.isAsRecorded, 'only walcast wrote to it')
  await writeInGap(t, copy, other)
  await assert.rejects(copy.checkpoints.holdLock(50), (error) => keyOf(error) === 'FENCE_FAILED')
  other.exec('INSERT INTO t VALUES (3); COMMIT')
  await copy.checkpoints.holdLock(20_000)
  assert.deepEqual(strays.map(keyOf), ['STRAY_WRITE'])
  assert.throws(() => other.exec('BEGIN IMMEDIATE'), /locked/)
  const again = await Copy.takeOver(options, host, await copy.handOver())
  assert.equal(again.isAsRecorded, false, 'the foreign write must be kept')
  await again.close()
  positions.close(true)
})

/** Begins a foreign transaction in a gap of the copy's lock. */
async function writeInGap(t: TestContext, copy: Copy, other: Database.Database): Promise<void> {
  // The reader keeps the WAL from being emptied, so checkpoint follows checkpoint.
  const reader = new Database(other.name, { readonly: true })
  t.after(() => reader.close())
  reader.exec('BEGIN; SELECT * FROM t')
  await until('a writer got in', () => {
    for (let i = 0; i < 10; i++) copy.checkpoints.onIdle()
    for (const time = span(5); time.left; ) {
      try {
        other.exec('BEGIN IMMEDIATE')
        return true
      } catch {
        // Not yet.
      }
    }
    return false
  })
}

test('a copy that is closed tells how large its WAL file is', async (t) => {
  const { options, host } = startWorld(t)
  const copy = await Copy.open(options, host, options.positions.known)
  assert.ok(copy.walFileBytes > 0)
  await copy.close()
  assert.equal(copy.walFileBytes, 0)
  options.positions.close(true)
})
