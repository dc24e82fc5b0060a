/** A disk that was full: dated snapshots go on soon after it has room, whatever the backoff. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pino } from 'pino'
import type { ArchiveSource } from '../../../src/backup/archiveSource.ts'
import { DatedSnapshots } from '../../../src/backup/dated/datedSnapshots.ts'
import { FullDisk } from '../../../src/backup/dated/fullDisk.ts'
import { WalcastError } from '../../../src/errors.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { replaceTime } from '../../../src/platform/time.ts'
import { Deferred } from '../../../src/roles/deferred.ts'
import { shiftedTime } from '../../support/shiftedTime.ts'
import { within } from '../../support/until.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-full-'))
after(() => rmSync(root, { recursive: true, force: true }))

const MIB = 1024 ** 2
const LOOK_MS = 10_000

test('as much of the database as is worth another try must be free', () => {
  let free: number | undefined = 5 * MIB
  const disk = new FullDisk('/place/file', 160 * MIB, () => free)
  assert.equal(disk.hasRoom, false)
  for (const [now, hasRoom] of [
    [1 * MIB, false],
    [15 * MIB - 1, false],
    [undefined, false],
    [15 * MIB, true],
    [5 * MIB, false],
  ] as const) {
    free = now
    assert.equal(disk.hasRoom, hasRoom, String(now))
  }
})

test('the next try comes at the first look at a disk with room', async () => {
  const { source } = shiftedTime()
  const waits: number[] = []
  const restore = replaceTime({
    ...source,
    setTimer(then, delayMs) {
      waits.push(delayMs)
      return source.setTimer(then, 0)
    },
  })
  const tries: number[] = []
  const tried = new Deferred<void>()
  let looks = 0
  const snapshots = new DatedSnapshots({
    ...{ db: 'main', database: 'app', place: root, keep: undefined, folder: join(root, 'own') },
    ...{ everyMs: 3_600_000, ops: systemFileOps, log: pino({ level: 'silent' }) },
    async open() {
      tries.push(waits.length)
      if (tries.length === TRIES + 1) tried.resolve()
      throw new WalcastError('DISK_FULL', { path: join(root, 'app/x') })
    },
    // Full until the last try of many, and then until the third look.
    freeAt: () => (tries.length === TRIES && ++looks > 3 ? MIB : 0),
    check: async () => '',
    onTaken() {},
    onFailed() {},
  })
  snapshots.attach({ state: () => undefined } as unknown as ArchiveSource)
  await within('it tries again', tried.promise)
  await snapshots.stop()
  restore()
  const [before, last] = tries.slice(-2)
  assert.deepEqual(waits.slice(before, last), [LOOK_MS, LOOK_MS])
  // Without room the backoff bounds the tries, in looks as well.
  const [early, late] = tries.slice(-3)
  assert.ok(late - early > 10, `${late - early} looks`)
  assert.ok(Math.max(...waits) <= LOOK_MS)
})

/** So many that the backoff is at its bound. */
const TRIES = 20
