/** The copy that is open: while something works on it in several steps, no checkpoint lets go of its lock. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { pino } from 'pino'
import { systemClock } from '../src/clock.ts'
import { keyOf } from '../src/errors.ts'
import { systemFileOps } from '../src/fileOps.ts'
import { Copy } from '../src/replica/copy.ts'
import { PositionLog } from '../src/sqlite/positionLog.ts'
import { SqliteThread } from '../src/sqlite/sqliteThread.ts'
import { until } from './support/until.ts'

/** A copy beside which another connection is open, and how many checkpoints it has made. */
async function openCopy(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-copy-'))
  const path = join(folder, 'copy.db')
  mkdirSync(join(folder, 'state'))
  const other = new Database(path, { timeout: 0 })
  other.pragma('journal_mode = wal')
  other.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  const thread = new SqliteThread()
  const positions = new PositionLog(join(folder, 'state', 'positions'), systemFileOps)
  const nothing = { checksum: 0n, salt1: 0, salt2: 0, frame: 0, s0: 0, s1: 0, pages: 0 }
  positions.append({ epoch: 1, txid: 5, ...nothing })
  const seen = { checkpoints: 0 }
  const copy = await Copy.open(
    {
      path,
      thread,
      ops: systemFileOps,
      clock: systemClock,
      log: pino({ level: 'silent' }),
      positions,
      walBytes: 4096,
      lockTimeoutMs: 1000,
    },
    {
      hold: () => () => {},
      onCheckpoint: () => {
        seen.checkpoints++
      },
      onDurable() {},
      onStray: (error) => assert.fail(error.line),
      onFatal: (error) => assert.fail(error.line),
    },
    positions.known,
  )
  t.after(async () => {
    positions.close(true)
    await thread.stop([])
    other.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { copy, thread, other, seen }
}

test('no checkpoint begins while the copy is worked on, and a close waits for neither more nor less', async (t) => {
  const { copy, other, seen } = await openCopy(t)
  const write = () => other.exec('INSERT INTO t VALUES (2)')
  await copy.undisturbed(async () => {
    copy.onIdle()
    for (let i = 0; i < 200; i++) {
      await immediate()
      assert.throws(write, /locked/)
    }
  })
  assert.equal(seen.checkpoints, 0)
  copy.onIdle()
  await until('a checkpoint afterwards', () => seen.checkpoints > 0)
  await copy.close()
  await assert.rejects(
    copy.undisturbed(async () => {}),
    (error) => keyOf(error) === 'STOPPING',
  )
})

test('a sync that fails beside a checkpoint is not forgotten: the copy is durable no more', async (t) => {
  const { copy, thread, seen } = await openCopy(t)
  const attempt = thread.attempt.bind(thread)
  // As the kernel tells of it: once, and of these descriptors only.
  thread.attempt = async (...steps) => {
    const results = await attempt(...steps)
    return results.map((result, i) =>
      steps[i].kind === 'sync' ? { ok: false, code: 'EIO', detail: 'EIO: i/o error, fdatasync' } : result,
    )
  }
  copy.applier.enterEpoch(2)
  await copy.durability.reach()
  copy.onIdle()
  await until('a checkpoint', () => seen.checkpoints > 0)
  copy.applier.enterEpoch(3)
  await assert.rejects(copy.durability.reach(), /EIO/)
  await copy.close()
})
