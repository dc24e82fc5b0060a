/**
 * A replica's own WAL writer: appends frames with checksums of its own generation, then publishes
 * them through the wal-index. The replica must hold the copy's write lock. A crash at any
 * instruction leaves a WAL that any SQLite recovers: frames without a commit are ignored, a whole
 * unpublished commit is kept.
 */
import type { FileOps } from '../platform/fileOps.ts'
import { randomBytes } from '../platform/random.ts'
import { nextTurn } from '../platform/time.ts'
import type { DatabaseFiles } from './databaseFiles.ts'
import { FrameBuffer, type FrameChain, type PageImages } from './frameBuffer.ts'
import type { FrameMap } from './frameMap.ts'
import { readFrameImage } from './pageScan.ts'
import {
  alignedBuffer,
  frameBytes,
  frameOffset,
  WAL_HEADER_BYTES,
  writeWalHeader,
} from './walFormat.ts'
import type { WalIndexHeader } from './walIndexFormat.ts'
import { WalIndexWriter } from './walIndexWriter.ts'
import { readWalHeader } from './walProbe.ts'
import { WalReader } from './walReader.ts'

/** Takes up so many frames before anything else may run. */
const FRAMES_AT_ONCE = 128

/** A point among the frames that were appended and are not published. */
export interface WalMark extends WalPlace {
  readonly swap: boolean
  readonly pending: number
}

/** Where a frame lies, and the WAL's checksum there. */
export interface WalPlace {
  readonly salt1: number
  readonly salt2: number
  readonly frame: number
  readonly s0: number
  readonly s1: number
}

export class WalWriter {
  readonly #files: DatabaseFiles
  readonly #ops: FileOps
  readonly #index: WalIndexWriter
  readonly #buffer: FrameBuffer
  readonly #chain: FrameChain = { salt1: 0, salt2: 0, swap: false, sum: { s0: 0, s1: 0 } }
  #header: WalIndexHeader
  #raw: Buffer = Buffer.alloc(0)
  #tail = 0
  /** Page numbers of frames appended and not yet published. */
  #pending: number[] = []
  /** Newest published frame of each page in this generation. */
  readonly frames: FrameMap

  /**
   * `header` is the verified wal-index header, `raw` its 48 bytes. `frames` is what it publishes,
   * which the writer keeps up from now on.
   */
  constructor(
    files: DatabaseFiles,
    ops: FileOps,
    header: WalIndexHeader,
    raw: Buffer,
    frames: FrameMap,
  ) {
    this.#files = files
    this.#ops = ops
    this.frames = frames
    this.#index = new WalIndexWriter(files.shm.fd, files.shm.path, ops)
    this.#buffer = new FrameBuffer(files.pageSize)
    this.#header = header
    this.takeOver(header, raw)
  }

  /** Frames that readers may see. */
  get mxFrame(): number {
    return this.#header.mxFrame
  }

  /** Where the last frame appended lies, published or not, and the WAL's checksum there. */
  get tail(): WalPlace {
    return this.#placeAt(this.#tail)
  }

  get hasPending(): boolean {
    return this.#pending.length > 0
  }

  /** Pages of the frames appended and not yet published, in order; a page may occur again. */
  get pendingPages(): readonly number[] {
    return this.#pending
  }

  /**
   * Takes up frames that lie whole behind the published end, left by a resync that was cut: they
   * count as appended. Stops at the first frame that does not verify or is a commit. `onPage` gets
   * each page's number and image, valid during the call. Nothing else may be appended meanwhile.
   */
  async takeUp(onPage: (page: number, image: Buffer) => void): Promise<void> {
    const { walFd, pageSize } = this.#files
    const header = readWalHeader(walFd)
    if (this.hasPending || !header || header.pageSize !== pageSize) return
    const chain = this.#chain
    const isOther = header.salt1 !== chain.salt1 || header.salt2 !== chain.salt2
    if (this.#tail > 0 && isOther) return
    const reader = new WalReader(walFd, pageSize, frameBytes(pageSize))
    const checksum = this.#tail > 0 ? { ...this.#chain.sum } : { s0: header.s0, s1: header.s1 }
    reader.resume({ header, frame: this.#tail, checksum })
    for (
      let segment = reader.readNext();
      segment?.commitPages[0] === 0;
      segment = reader.readNext()
    ) {
      onPage(segment.pageNumbers[0], segment.page(0))
      reader.consume(1)
      if (this.#pending.push(segment.pageNumbers[0]) % FRAMES_AT_ONCE === 0) await nextTurn()
    }
    if (!this.hasPending) return
    const place = reader.place
    this.#tail = reader.frame
    this.#chain.salt1 = header.salt1
    this.#chain.salt2 = header.salt2
    this.#chain.swap = header.bigEndian
    this.#chain.sum.s0 = place?.checksum.s0 ?? 0
    this.#chain.sum.s1 = place?.checksum.s1 ?? 0
  }

  /** The wal-index header last written or taken over: 48 bytes. */
  get rawHeader(): Buffer {
    return this.#raw
  }

  get header(): WalIndexHeader {
    return this.#header
  }

  /**
   * Goes on after the frames that `header` publishes; what was appended and not published is
   * forgotten.
   */
  takeOver(header: WalIndexHeader, raw: Buffer): void {
    this.#header = header
    this.#raw = Buffer.from(raw)
    this.#chain.salt1 = header.salt1
    this.#chain.salt2 = header.salt2
    this.#chain.swap = header.bigEndianWal
    if (header.mxFrame === 0) this.frames.clear()
    this.discard()
  }

  /** Forgets what was appended since the last `publish`. */
  discard(): void {
    this.#pending = []
    this.#tail = this.#header.mxFrame
    this.#chain.sum.s0 = this.#header.frameChecksum.s0
    this.#chain.sum.s1 = this.#header.frameChecksum.s1
    this.#index.load(this.#header.mxFrame)
  }

  /**
   * Appends frames that no reader sees yet. `commitPages`, the size of the database in pages, marks
   * the last of them as a commit; 0 when the transaction goes on. `beforeCommit` is called with the
   * place of that commit just before it is written: from then on a recovery may find it. Throws
   * DISK_FULL or WRITE_FAILED; then call `returnTo` or `discard`.
   */
  append(images: PageImages, commitPages: number, beforeCommit?: (end: WalPlace) => void): void {
    if (images.count === 0) {
      if (commitPages > 0 && this.hasPending) this.#commitAgain(commitPages, beforeCommit)
      return
    }
    if (this.#tail === 0) this.#beginGeneration()
    const { maxFrames } = this.#buffer
    for (let first = 0; first < images.count; first += maxFrames) {
      const count = Math.min(maxFrames, images.count - first)
      const isLast = first + count === images.count
      const bytes = this.#buffer.fill(images, first, count, isLast ? commitPages : 0, this.#chain)
      if (isLast && commitPages > 0) beforeCommit?.(this.#placeAt(this.#tail + count))
      this.#ops.write(
        'wal.append',
        this.#files.walFd,
        bytes,
        frameOffset(this.#tail + 1, this.#files.pageSize),
        this.#files.walPath,
      )
      this.#tail += count
    }
    for (let i = 0; i < images.count; i++) this.#pending.push(images.number(i))
  }

  /**
   * The point to which `returnTo` may take back what is appended from now on, until the next
   * `publish` or `discard`.
   */
  mark(): WalMark {
    return { ...this.tail, swap: this.#chain.swap, pending: this.#pending.length }
  }

  returnTo({ salt1, salt2, frame, s0, s1, swap, pending }: WalMark): void {
    this.#chain.salt1 = salt1
    this.#chain.salt2 = salt2
    this.#chain.swap = swap
    this.#tail = frame
    this.#chain.sum.s0 = s0
    this.#chain.sum.s1 = s1
    this.#pending.length = pending
  }

  /**
   * Makes everything appended visible, as a database of `pages` pages. The last frame appended must
   * be a commit.
   */
  publish(pages: number): void {
    this.#index.reserve(this.#tail)
    let frame = this.#header.mxFrame
    for (const page of this.#pending) this.#index.add(++frame, page)
    this.#index.flush()
    const header: WalIndexHeader = {
      change: (this.#header.change + 1) >>> 0,
      bigEndianWal: this.#chain.swap,
      pageSize: this.#files.pageSize,
      mxFrame: this.#tail,
      pages,
      frameChecksum: { ...this.#chain.sum },
      salt1: this.#chain.salt1,
      salt2: this.#chain.salt2,
    }
    this.#raw = Buffer.from(this.#index.publish(header))
    frame = this.#header.mxFrame
    for (const page of this.#pending) this.frames.set(page, ++frame)
    this.#header = header
    this.#pending = []
  }

  /**
   * A commit needs a frame to stand on: without one, a recovery would drop what readers have seen.
   */
  #commitAgain(commitPages: number, beforeCommit?: (end: WalPlace) => void): void {
    const { pageSize, walFd } = this.#files
    const image = Buffer.allocUnsafeSlow(pageSize)
    readFrameImage(walFd, this.#tail, pageSize, image)
    const last = this.#pending[this.#pending.length - 1]
    this.append({ count: 1, number: () => last, page: () => image }, commitPages, beforeCommit)
  }

  /** `frame`: the last one that the running checksum covers. */
  #placeAt(frame: number): WalPlace {
    const { salt1, salt2, sum } = this.#chain
    return { salt1, salt2, frame, ...sum }
  }

  #beginGeneration(): void {
    const { pageSize, walFd, walPath } = this.#files
    this.#chain.swap = false
    const salts = randomBytes(8)
    this.#chain.salt1 = salts.readUInt32BE(0)
    this.#chain.salt2 = salts.readUInt32BE(4)
    const checkpointSequence = ((readWalHeader(walFd)?.checkpointSequence ?? 0) + 1) >>> 0
    const bytes = alignedBuffer(WAL_HEADER_BYTES)
    const sum = writeWalHeader(bytes, {
      pageSize,
      checkpointSequence,
      salt1: this.#chain.salt1,
      salt2: this.#chain.salt2,
    })
    this.#ops.write('wal.header', walFd, bytes, 0, walPath)
    this.#chain.sum.s0 = sum.s0
    this.#chain.sum.s1 = sum.s1
  }
}
