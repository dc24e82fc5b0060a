/**
 * Looks through a whole WAL file, whatever state it is in: its header, its transactions, and what
 * lies behind its last valid frame. For a person who wants to see; a leader has `WalReader`.
 *
 * It takes no lock and changes nothing. Others may write meanwhile: frames that are added are not
 * looked at, and a WAL that starts over ends the look at the frame that was overwritten. Memory:
 * one segment.
 */
import { fstatSync, readSync } from '../platform/files.ts'
import {
  addToChecksum,
  alignedBuffer,
  frameBytes,
  isPageSize,
  parseWalHeader,
  WAL_HEADER_BYTES,
  type WalHeader,
  wordsOf,
} from './walFormat.ts'
import { hasSalts, isUnsigned, readWalHeader, WalProbe } from './walProbe.ts'
import { WalReader, type WalSegment } from './walReader.ts'

/** The first 32 bytes of a WAL file, right or wrong. */
export interface WalHeaderView {
  readonly magic: number
  readonly version: number
  readonly pageSize: number
  readonly checkpointSequence: number
  readonly salts: readonly [number, number]
  /** Byte order of the words that the checksums add up. */
  readonly checksumOrder: 'big' | 'little'
  readonly isChecksumRight: boolean
  /** Undefined when SQLite would take it for no header. */
  readonly header: WalHeader | undefined
}

export interface FrameView {
  readonly type: 'frame'
  readonly frame: number
  readonly page: number
  /** Size of the database in pages on the last frame of a commit, else 0. */
  readonly commitPages: number
}

export interface TransactionView {
  readonly type: 'transaction'
  /** Counted from 1 in this generation. */
  readonly number: number
  readonly first: number
  readonly last: number
  /** Size of the database after it, in pages. */
  readonly databasePages: number
}

export interface EndView {
  readonly type: 'end'
  /** Last frame that verifies, 0 for none. */
  readonly lastValid: number
  /** Last one of them that ends a transaction. */
  readonly lastCommit: number
  readonly transactions: number
}

export type WalView = FrameView | TransactionView | EndView

const SEGMENT_BYTES = 1024 * 1024

/** Undefined when the file is shorter than a header. */
export function viewWalHeader(walFd: number): WalHeaderView | undefined {
  const bytes = alignedBuffer(WAL_HEADER_BYTES)
  if (readSync(walFd, bytes, 0, WAL_HEADER_BYTES, 0) < WAL_HEADER_BYTES) return undefined
  const magic = bytes.readUInt32BE(0)
  const sum = { s0: 0, s1: 0 }
  addToChecksum(sum, wordsOf(bytes), 0, 6, (magic & 1) === 1)
  return {
    magic,
    version: bytes.readUInt32BE(4),
    pageSize: bytes.readUInt32BE(8),
    checkpointSequence: bytes.readUInt32BE(12),
    salts: [bytes.readUInt32BE(16), bytes.readUInt32BE(20)],
    checksumOrder: (magic & 1) === 1 ? 'big' : 'little',
    isChecksumRight: sum.s0 === bytes.readUInt32BE(24) && sum.s1 === bytes.readUInt32BE(28),
    header: parseWalHeader(bytes),
  }
}

/** Whole frames that have room in a WAL file of so many bytes. */
export function wholeFrames(bytes: number, pageSize: number): number {
  if (!isPageSize(pageSize)) return 0
  return Math.max(0, Math.floor((bytes - WAL_HEADER_BYTES) / frameBytes(pageSize)))
}

/** One look at the frames of a generation. */
export class WalScan {
  readonly #fd: number
  readonly #header: WalHeader
  readonly #reader: WalReader

  constructor(walFd: number, header: WalHeader) {
    this.#fd = walFd
    this.#header = header
    this.#reader = new WalReader(walFd, header.pageSize, SEGMENT_BYTES)
    this.#reader.resume({ header, frame: 0, checksum: { s0: header.s0, s1: header.s1 } })
  }

  /** Each frame that verifies, each transaction after its last frame, and the end. */
  *views(): Generator<WalView, void, void> {
    const last = wholeFrames(fstatSync(this.#fd).size, this.#header.pageSize)
    let [transactions, lastCommit] = [0, 0]
    for (let segment = this.#next(last); segment; segment = this.#next(last)) {
      const { firstFrame, count, pageNumbers, commitPages } = segment
      for (let i = 0; i < count; i++) {
        const frame = firstFrame + i
        yield { type: 'frame', frame, page: pageNumbers[i], commitPages: commitPages[i] }
        if (commitPages[i] === 0) continue
        yield {
          type: 'transaction',
          number: ++transactions,
          first: lastCommit + 1,
          last: frame,
          databasePages: commitPages[i],
        }
        lastCommit = frame
      }
      this.#reader.consume(count)
    }
    yield { type: 'end', lastValid: this.#reader.frame, lastCommit, transactions }
  }

  /** Goes on to frame `to`, which was written meanwhile. Gives the last frame that verifies. */
  reach(to: number): number {
    for (let segment = this.#next(to); segment; segment = this.#next(to))
      this.#reader.consume(segment.count)
    return this.#reader.frame
  }

  /** Goes on to the last frame of the file that verifies by now. */
  reachEnd(): number {
    return this.reach(wholeFrames(fstatSync(this.#fd).size, this.#header.pageSize))
  }

  /** Whether another generation began in the file. */
  hasStartedOver(): boolean {
    const now = readWalHeader(this.#fd)
    return now?.salt1 !== this.#header.salt1 || now.salt2 !== this.#header.salt2
  }

  /** As many frames at once as verify, one by one where not all do. */
  #next(last: number): WalSegment | undefined {
    if (this.#reader.frame >= last) return undefined
    return this.#reader.readUpTo(last) ?? this.#reader.readNext()
  }
}

export type RemainKind = 'other salts' | 'no checksum' | 'wrong checksum'

/** Neighbouring frames behind the last valid one, alike in what is wrong with them. */
export interface RemainView {
  readonly kind: RemainKind
  readonly first: number
  readonly last: number
  /** Those of the frames, which another generation wrote. */
  readonly salts: readonly [number, number]
}

export interface RemainsView {
  readonly frames: number
  /** At the end of the file, too few for a frame. */
  readonly bytes: number
  /** The first ones. */
  readonly runs: readonly RemainView[]
  readonly moreRuns: number
}

const MAX_RUNS = 20

/** What lies behind frame `lastValid`. Salts tell of which generation it is left over. */
export function viewRemains(walFd: number, header: WalHeader, lastValid: number): RemainsView {
  const { size } = fstatSync(walFd)
  const last = wholeFrames(size, header.pageSize)
  const probe = new WalProbe(walFd, header.pageSize)
  const runs: RemainView[] = []
  let moreRuns = 0
  let run: { kind: RemainKind; first: number; last: number; salts: [number, number] } | undefined
  for (let frame = lastValid + 1; frame <= last; frame++) {
    const bytes = probe.headerOf(frame)
    const salts: [number, number] = [bytes.readUInt32BE(8), bytes.readUInt32BE(12)]
    const kind = isUnsigned(bytes, 0)
      ? 'no checksum'
      : hasSalts(bytes, 8, header)
        ? 'wrong checksum'
        : 'other salts'
    if (run?.kind === kind && run.salts[0] === salts[0] && run.salts[1] === salts[1]) {
      run.last = frame
      continue
    }
    run = { kind, first: frame, last: frame, salts }
    if (runs.length < MAX_RUNS) runs.push(run)
    else moreRuns++
  }
  const frames = Math.max(0, last - lastValid)
  const end = WAL_HEADER_BYTES + last * frameBytes(header.pageSize)
  return { frames, bytes: Math.max(0, size - end), runs, moreRuns }
}
