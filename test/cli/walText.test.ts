/** What `walcast wal` says of a WAL: what is damaged, and what only came meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDamaged, type WalReport, walText } from '../../src/cli/walText.ts'
import type { WalIndexHeader } from '../../src/sqlite/walIndexFormat.ts'

const SALTS = [0x1a2b3c4d, 0x99aabbcc] as const
const HEADER = {
  bigEndian: false,
  pageSize: 4096,
  checkpointSequence: 3,
  salt1: SALTS[0],
  salt2: SALTS[1],
  s0: 1,
  s1: 2,
}

const copyTo = (mxFrame: number, salt1: number = SALTS[0]): WalIndexHeader => ({
  change: 7,
  bigEndianWal: false,
  pageSize: 4096,
  mxFrame,
  pages: 20,
  frameChecksum: { s0: 5, s1: 6 },
  salt1,
  salt2: SALTS[1],
})

function reportOf(published: number, reached: number, salt1?: number): WalReport {
  const copy = copyTo(published, salt1)
  return {
    database: { path: '/a.db', bytes: 81920, pageSize: 4096, isWalMode: true },
    wal: { path: '/a.db-wal', bytes: 41232 },
    shm: { path: '/a.db-shm', bytes: 32768 },
    header: {
      magic: 0x377f0682,
      version: 3007000,
      pageSize: 4096,
      checkpointSequence: 3,
      salts: SALTS,
      checksumOrder: 'little',
      isChecksumRight: true,
      header: HEADER,
    },
    end: { type: 'end', lastValid: 10, lastCommit: 8, transactions: 4 },
    reached,
    hasStartedOver: false,
    remains: { frames: 0, bytes: 0, runs: [], moreRuns: 0 },
    index: {
      copies: [copy, copy],
      areCopiesEqual: true,
      backfilled: 5,
      backfillAttempted: 5,
      readMarks: [0, 8, undefined, undefined, undefined],
    },
    locks: [{ pid: 12, process: 'node', exclusive: true, names: ['WRITE', 'OPEN'] }],
    openBy: [{ pid: 12, process: 'node', exclusive: false }],
    seesEveryLock: true,
  }
}

test('a sound WAL is told with its frames, marks and locks', () => {
  const text = walText(reportOf(8, 8), [
    { type: 'transaction', number: 4, first: 7, last: 8, databasePages: 20 },
  ])
  for (const part of [
    /valid, version 3007000, pages of 4096 bytes, checkpoint 3\n/,
    /salts +1a2b3c4d 99aabbcc\n/,
    /frames +1 to 10 are valid: 4 transactions to frame 8 \(.*\), then 2 frames without a commit\n/,
    /published +to frame 8\n/,
    /READ0 0, READ1 8, READ2 unused/,
    /locks +WRITE exclusive by node 12\n/,
    /\n4 +7-8 +2 +8.0 KiB +20 pages\n$/,
  ])
    assert.match(text, part)
  assert.equal(isDamaged(reportOf(8, 8)), false)
})

test('published frames that do not verify are damage, unless the WAL started over', () => {
  const damaged = reportOf(12, 10)
  assert.equal(isDamaged(damaged), true)
  assert.match(walText(damaged, []), /to frame 12: DAMAGED, frame 11 does not verify\n/)
  assert.equal(isDamaged({ ...damaged, hasStartedOver: true }), false)
  assert.match(walText({ ...damaged, hasStartedOver: true }, []), /run this again/)
  assert.equal(isDamaged(reportOf(12, 12)), false)
  assert.match(walText(reportOf(12, 12), []), /some came while this was read/)
})

test('a wal-index of another generation publishes nothing of this WAL', () => {
  const other = reportOf(0, 0, SALTS[0] + 1)
  assert.equal(isDamaged(other), false)
  assert.match(walText(other, []), /other salts: 1a2b3c4e 99aabbcc, it will start over/)
  assert.doesNotMatch(walText(other, []), /published/)
})

test('a WAL without a valid header is damaged, an empty one is not', () => {
  const { header, ...rest } = reportOf(8, 8)
  assert.ok(header)
  assert.equal(isDamaged({ ...rest, header: { ...header, header: undefined } }), true)
  const empty = { ...rest, wal: { path: '/a.db-wal', bytes: 0 }, header: undefined }
  assert.equal(isDamaged({ ...empty, end: undefined, reached: undefined }), false)
  assert.match(walText({ ...empty, end: undefined }, []), /the WAL is empty/)
})

test('names of processes and files cannot steer the terminal', () => {
  const report = { ...reportOf(8, 8), wal: { path: '/a\u001b[2J-wal', bytes: 41232 } }
  assert.ok(!walText(report, []).includes('\u001b'))
})
