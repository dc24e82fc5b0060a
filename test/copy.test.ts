/** The copy that is open: while something works on it in several steps, no checkpoint lets go of its lock. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
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

test('no checkpoint begins while the copy is worked on, and a close waits for neither more nor less', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-copy-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'copy.db')
  mkdirSync(join(folder, 'state'))
  const other = new Database(path, { timeout: 0 })
  other.pragma('journal_mode = wal')
  other.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  const thread = new SqliteThread()
  const positions = new PositionLog(join(folder, 'state', 'positions'), systemFileOps)
  let checkpoints = 0
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
        checkpoints++
      },
      onDurable() {},
      onStray: (error) => assert.fail(error.line),
      onFatal: (error) => assert.fail(error.line),
    },
    positions.known,
  )
  const write = () => other.exec('INSERT INTO t VALUES (2)')
  await copy.undisturbed(async () => {
    copy.onIdle()
    for (let i = 0; i < 200; i++) {
      await immediate()
      assert.throws(write, /locked/)
    }
  })
  assert.equal(checkpoints, 0)
  copy.onIdle()
  await until('a checkpoint afterwards', () => checkpoints > 0)
  await copy.close()
  await assert.rejects(
    copy.undisturbed(async () => {}),
    (error) => keyOf(error) === 'STOPPING',
  )
  positions.close(true)
  await thread.stop([])
  other.close()
})
