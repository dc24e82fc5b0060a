/**
 * Times small operations that replication is made of, each in a loop of its own: the median of
 * batches, in µs for one.
 */
import { randomFillSync } from 'node:crypto'
import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { Packr } from 'msgpackr'
import { decode, encode, pagesPayloadBytes } from '../../proto/codec.ts'
import { addToChecksum, alignedBuffer, wordsOf } from '../../src/sqlite/walFormat.ts'
import { xxh64 } from '../../src/xxh64.ts'
import { median } from '../arithmetic.ts'
import type { Operation } from '../floors.ts'
import { Flags, readyThenGo, report } from './program.ts'

const PAGE_BYTES = 4096
const FILE_PAGES = 4096
const BATCHES = 40
/** How long a batch takes, about: long beside the clock's steps, short beside what disturbs it. */
const BATCH_MS = 5

const flags = new Flags(['file'])
const file = openSync(flags.text('file'), 'w+')
const page = alignedBuffer(PAGE_BYTES)
const words = wordsOf(page)
const large = Buffer.alloc(1e6)
for (const bytes of [page, large]) randomFillSync(bytes)
const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })
/** The fields of a batch, and 64 KB of pages as they would be if the payload were part of it. */
const message = {
  ...{ db: 'app', epoch: 3, fromTxid: 1_234_566, txid: 1_234_567, chunk: 0, last: true },
  ...{ pageSize: PAGE_BYTES, pages: 16, dbPages: 25_000, checksum: 'fedcba9876543210' },
  ...{
    noticeMs: 1_700_000_000_000.25,
    noticedMs: 1_700_000_000_000.5,
    sentMs: 1_700_000_000_000.75,
  },
  payload: Buffer.alloc(16 * PAGE_BYTES, 0x61),
}
const packed = Buffer.from(packr.pack(message))
const { payload: _pages, ...fields } = message
const body = { ...fields, pages: 1 }
const batch = encodeBatch()
const sum = { s0: 1, s1: 2 }
let written = 0

/** The message of a commit of one page. */
function encodeBatch(): Buffer {
  return encode('batch', body, pagesPayloadBytes(1, PAGE_BYTES), (payload) => {
    payload.writeUInt32LE(7, 0)
    payload.set(page, 4)
  })
}

function writePage(): void {
  writeSync(file, page, 0, PAGE_BYTES, (written++ % FILE_PAGES) * PAGE_BYTES)
}

function writeAndSync(): void {
  writePage()
  fdatasyncSync(file)
}

const operations: Readonly<Record<Operation, () => void>> = {
  pwritePage: writePage,
  pwriteAndFdatasyncPage: writeAndSync,
  xxh64Page: () => void xxh64(page, 0n),
  xxh64Megabyte: () => void xxh64(large, 0n),
  walChecksumPage: () => addToChecksum(sum, words, 0, words.length, false),
  msgpackPack64Kb: () => void packr.pack(message),
  msgpackUnpack64Kb: () => void packr.unpack(packed),
  encodeBatch: () => void encodeBatch(),
  decodeBatch: () => void decode(batch),
}

function timeUs(operation: () => void, times: number): number {
  const fromNs = process.hrtime.bigint()
  for (let i = 0; i < times; i++) operation()
  return Number(process.hrtime.bigint() - fromNs) / 1e3 / times
}

/**
 * The first batches only find out how many there are in BATCH_MS, which also gets the code
 * compiled.
 */
function measureUs(operation: () => void): number {
  let times = 1
  for (let i = 0; i < 10; i++)
    times = Math.max(1, Math.round((BATCH_MS * 1000) / timeUs(operation, Math.min(times, 100_000))))
  return median(Array.from({ length: BATCHES }, () => timeUs(operation, times)))
}

await readyThenGo()
// The file has its size before it is timed: later writes replace pages.
for (let i = 0; i < FILE_PAGES; i++) writePage()
fdatasyncSync(file)
report(
  Object.fromEntries(
    Object.entries(operations).map(([name, operation]) => [name, measureUs(operation)]),
  ),
)
