/**
 * A replica's own WAL writer: appends frames with checksums of its own generation, then publishes
 * them through the wal-index. Only while the copy's write lock is held. A crash at any instruction
 * leaves a WAL that any SQLite recovers: frames without a commit are ignored, a whole unpublished
 * commit is kept.
 */
import type { FileOps } from '../platform/fileOps.ts'
import { randomBytes } from '../platform/random.ts'
import { nextTurn } from '../platform/time.ts'
import type { DatabaseFiles } from './databaseFiles.ts'
import type { FrameMap } from './frameMap.ts'
import { readFrameImage } from './pageScan.ts'
import {
  addToChecksum,
  alignedBuffer,
  FRAME_HEADER_BYTES,
  frameBytes,
  frameOffset,
  WAL_HEADER_BYTES,
  type WalChecksum,
  wordsOf,
  writeWalHeader,
} from './walFormat.ts'
import type { WalIndexHeader } from './walIndexFormat.ts'
import { WalIndexWriter } from './walIndexWriter.ts'
import { readWalHeader, WalReader } from './walReader.ts'

const BUFFER_BYTES = 1024 * 1024
/** Frames taken up without letting anything else run. */
const FRAMES_AT_ONCE = 128

/** Pages to append. `page(i)` may be a view that the next call reuses. */
export interface PageImages {
  readonly count: number
  number(i: number): number
  page(i: number): Uint8Array
}

/** A point among the frames that were appended and are not published. */
export interface WalMark {
  readonly salt1: number
  readonly salt2: number
  readonly frame: number
  readonly s0: number
  readonly s1: number
  readonly swap: boolean
  readonly pending: number
}

export class WalWriter {
  readonly #files: DatabaseFiles
  readonly #ops: FileOps
  readonly #index: WalIndexWriter
  readonly #bytes: Buffer
  readonly #words: Int32Array
  readonly #perWrite: number
  readonly #sum: WalChecksum = { s0: 0, s1: 0 }
  #header: WalIndexHeader
  #raw: Buffer = Buffer.alloc(0)
  #salt1 = 0
  #salt2 = 0
  /**
   * The WAL taken over was begun on a machine of the other byte order: its checksums go on in that
   * order.
   */
  #swap = false
  #tail = 0
  /** Page numbers of frames appended and not yet published. */
  #pending: number[] = []
  /** Newest published frame of each page in this generation. */
  readonly frames: FrameMap

  /**
   * `header` is the verified wal-index header, `raw` its 48 bytes, `frames` what it publishes; from
   * now on kept up here.
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
    this.#perWrite = Math.max(1, Math.floor(BUFFER_BYTES / frameBytes(files.pageSize)))
    this.#bytes = alignedBuffer(this.#perWrite * frameBytes(files.pageSize))
    this.#words = wordsOf(this.#bytes)
    this.#header = header
    this.takeOver(header, raw)
  }

  /** Frames that readers may see. */
  get mxFrame(): number {
    return this.#header.mxFrame
  }

  /** Where the last frame appended lies, published or not, and the WAL's checksum there. */
  get tail(): {
    readonly salt1: number
    readonly salt2: number
    readonly frame: number
    readonly s0: number
    readonly s1: number
  } {
    return { salt1: this.#salt1, salt2: this.#salt2, frame: this.#tail, ...this.#sum }
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
   * count as appended. Up to the first that does not verify or is a commit. `onPage` gets each
   * page's number and image, valid during the call. Nothing else may be appended meanwhile.
   */
  async takeUp(onPage: (page: number, image: Buffer) => void): Promise<void> {
    const { walFd, pageSize } = this.#files
    const header = readWalHeader(walFd)
    if (this.hasPending || !header || header.pageSize !== pageSize) return
    if (this.#tail > 0 && (header.salt1 !== this.#salt1 || header.salt2 !== this.#salt2)) return
    const reader = new WalReader(walFd, pageSize, frameBytes(pageSize))
    const checksum = this.#tail > 0 ? { ...this.#sum } : { s0: header.s0, s1: header.s1 }
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
    this.#salt1 = header.salt1
    this.#salt2 = header.salt2
    this.#swap = header.bigEndian
    this.#sum.s0 = place?.checksum.s0 ?? 0
    this.#sum.s1 = place?.checksum.s1 ?? 0
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
    this.#salt1 = header.salt1
    this.#salt2 = header.salt2
    this.#swap = header.bigEndianWal
    if (header.mxFrame === 0) this.frames.clear()
    this.discard()
  }

  /** Forgets what was appended since the last `publish`. */
  discard(): void {
    this.#pending = []
    this.#tail = this.#header.mxFrame
    this.#sum.s0 = this.#header.frameChecksum.s0
    this.#sum.s1 = this.#header.frameChecksum.s1
    this.#index.load(this.#header.mxFrame)
  }

  /**
   * Appends frames that no reader sees yet. `commitPages`, the size of the database in pages, marks
   * the last of them as a commit; 0 when the transaction goes on. Throws DISK_FULL or WRITE_FAILED;
   * then call `returnTo` or `discard`.
   */
  append(images: PageImages, commitPages: number): void {
    if (images.count === 0) {
      if (commitPages > 0 && this.hasPending) this.#commitAgain(commitPages)
      return
    }
    if (this.#tail === 0) this.#beginGeneration()
    for (let first = 0; first < images.count; first += this.#perWrite) {
      const count = Math.min(this.#perWrite, images.count - first)
      const isLast = first + count === images.count
      this.#fill(images, first, count, isLast ? commitPages : 0)
      const bytes = this.#bytes.subarray(0, count * frameBytes(this.#files.pageSize))
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
   * Where what is appended from now on may be taken back to with `returnTo`, until the next
   * `publish` or `discard`.
   */
  mark(): WalMark {
    return { ...this.tail, swap: this.#swap, pending: this.#pending.length }
  }

  returnTo({ salt1, salt2, frame, s0, s1, swap, pending }: WalMark): void {
    this.#salt1 = salt1
    this.#salt2 = salt2
    this.#swap = swap
    this.#tail = frame
    this.#sum.s0 = s0
    this.#sum.s1 = s1
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
      bigEndianWal: this.#swap,
      pageSize: this.#files.pageSize,
      mxFrame: this.#tail,
      pages,
      frameChecksum: { ...this.#sum },
      salt1: this.#salt1,
      salt2: this.#salt2,
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
  #commitAgain(commitPages: number): void {
    const { pageSize, walFd } = this.#files
    const image = Buffer.allocUnsafeSlow(pageSize)
    readFrameImage(walFd, this.#tail, pageSize, image)
    const last = this.#pending[this.#pending.length - 1]
    this.append({ count: 1, number: () => last, page: () => image }, commitPages)
  }

  #beginGeneration(): void {
    const { pageSize, walFd, walPath } = this.#files
    this.#swap = false
    const salts = randomBytes(8)
    this.#salt1 = salts.readUInt32BE(0)
    this.#salt2 = salts.readUInt32BE(4)
    const checkpointSequence = ((readWalHeader(walFd)?.checkpointSequence ?? 0) + 1) >>> 0
    const bytes = alignedBuffer(WAL_HEADER_BYTES)
    const sum = writeWalHeader(bytes, {
      pageSize,
      checkpointSequence,
      salt1: this.#salt1,
      salt2: this.#salt2,
    })
    this.#ops.write('wal.header', walFd, bytes, 0, walPath)
    this.#sum.s0 = sum.s0
    this.#sum.s1 = sum.s1
  }

  #fill(images: PageImages, first: number, count: number, commitPages: number): void {
    const { pageSize } = this.#files
    const size = frameBytes(pageSize)
    const bytes = this.#bytes
    for (let i = 0; i < count; i++) {
      const at = i * size
      bytes.writeUInt32BE(images.number(first + i), at)
      bytes.writeUInt32BE(i === count - 1 ? commitPages : 0, at + 4)
      bytes.writeUInt32BE(this.#salt1, at + 8)
      bytes.writeUInt32BE(this.#salt2, at + 12)
      bytes.set(images.page(first + i), at + FRAME_HEADER_BYTES)
      addToChecksum(this.#sum, this.#words, at >>> 2, 2, this.#swap)
      addToChecksum(
        this.#sum,
        this.#words,
        (at + FRAME_HEADER_BYTES) >>> 2,
        pageSize >>> 2,
        this.#swap,
      )
      bytes.writeUInt32BE(this.#sum.s0, at + 16)
      bytes.writeUInt32BE(this.#sum.s1, at + 20)
    }
  }
}
