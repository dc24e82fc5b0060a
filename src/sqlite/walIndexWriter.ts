/**
 * Writes the wal-index of a replica's copy, as SQLite's own writer does (walIndexAppend,
 * walIndexWriteHdr and walCleanupHash of https://sqlite.org/src/file/src/wal.c): page numbers and
 * hash slots first, the header last.
 *
 * Other processes map the file and read it meanwhile. Hash slots are therefore written in aligned
 * blocks of 8 bytes, both header copies in one write, and bytes 96 to 135 (checkpoint information
 * and locks) never.
 */
import type { FileOps } from '../platform/fileOps.ts'
import { fstatSync, readSync } from '../platform/files.ts'
import { alignedBuffer } from './walFormat.ts'
import {
  frameBeforeBlock,
  HASH_OFFSET,
  HASH_SLOTS,
  hashSlot,
  INDEX_BLOCK_BYTES,
  INDEX_HEADER_BYTES,
  indexBlockOf,
  pageNumbersOffset,
  type WalIndexHeader,
  writeIndexHeader,
} from './walIndexFormat.ts'

/** `-shm` grows by whole steps, at least SQLite's 32 KB and the page size of any system. */
const GROW_BYTES = 65536
/** From so many changed groups of slots on, all slots of the block are written at once. */
const FULL_HASH_GROUPS = 32
const NO_BLOCK = -1

export class WalIndexWriter {
  readonly #fd: number
  readonly #path: string
  readonly #ops: FileOps
  readonly #block = alignedBuffer(INDEX_BLOCK_BYTES)
  readonly #slots = new Uint16Array(this.#block.buffer, HASH_OFFSET, HASH_SLOTS)
  readonly #pair = alignedBuffer(2 * INDEX_HEADER_BYTES)
  #number = NO_BLOCK
  #size = 0
  #isNew = false
  #firstIndex = 0
  #lastIndex = 0
  readonly #groups = new Set<number>()

  constructor(shmFd: number, path: string, ops: FileOps) {
    this.#fd = shmFd
    this.#path = path
    this.#ops = ops
    this.#size = fstatSync(shmFd).size
  }

  /**
   * Reads the block of the last published frame, and drops what a writer that died left beyond it.
   */
  load(mxFrame: number): void {
    this.#size = fstatSync(this.#fd).size
    this.#clearChanges()
    if (mxFrame === 0) {
      this.#number = NO_BLOCK
      return
    }
    this.#number = indexBlockOf(mxFrame)
    this.#block.fill(0)
    readSync(this.#fd, this.#block, 0, INDEX_BLOCK_BYTES, this.#number * INDEX_BLOCK_BYTES)
    this.#dropPast(mxFrame - frameBeforeBlock(this.#number))
  }

  /** Makes room for frames up to `frame`. Throws DISK_FULL before anything was changed. */
  reserve(frame: number): void {
    const needed = (indexBlockOf(frame) + 1) * INDEX_BLOCK_BYTES
    if (needed <= this.#size) return
    const size = Math.ceil(needed / GROW_BYTES) * GROW_BYTES
    this.#ops.write('index.grow', this.#fd, Buffer.alloc(size - this.#size), this.#size, this.#path)
    this.#size = size
  }

  /** Enters a frame; frames come in order. `flush` writes it at the latest. */
  add(frame: number, page: number): void {
    const block = indexBlockOf(frame)
    if (block !== this.#number) {
      this.flush()
      this.#begin(block)
    }
    const index = frame - frameBeforeBlock(block)
    this.#block.writeUInt32LE(page, pageNumbersOffset(block) + 4 * (index - 1))
    if (this.#firstIndex === 0) this.#firstIndex = index
    this.#lastIndex = index
    let slot = hashSlot(page)
    while (this.#slots[slot] !== 0) slot = (slot + 1) & (HASH_SLOTS - 1)
    this.#slots[slot] = index
    this.#groups.add(slot >>> 2)
  }

  /** Writes what was entered. Readers do not look at it before the header says so. */
  flush(): void {
    if (this.#firstIndex === 0) return
    const start = this.#number * INDEX_BLOCK_BYTES
    if (this.#isNew) {
      const from = pageNumbersOffset(this.#number)
      this.#ops.write('index.pages', this.#fd, this.#block.subarray(from), start + from, this.#path)
    } else {
      this.#writePageNumbers(start)
      this.#writeSlots(start)
    }
    this.#clearChanges()
  }

  /**
   * Makes all frames up to `header.mxFrame` visible. Gives the 48 bytes of one copy, valid until
   * the next call.
   */
  publish(header: WalIndexHeader): Buffer {
    const first = this.#pair.subarray(0, INDEX_HEADER_BYTES)
    writeIndexHeader(first, header)
    first.copy(this.#pair, INDEX_HEADER_BYTES)
    this.#ops.write('index.publish', this.#fd, this.#pair, 0, this.#path)
    return first
  }

  #begin(block: number): void {
    this.#number = block
    this.#block.fill(0)
    this.#isNew = true
  }

  #writePageNumbers(start: number): void {
    const offset = pageNumbersOffset(this.#number)
    const from = (offset + 4 * (this.#firstIndex - 1)) & ~7
    const to = Math.min(HASH_OFFSET, (offset + 4 * this.#lastIndex + 7) & ~7)
    this.#ops.write(
      'index.pages',
      this.#fd,
      this.#block.subarray(from, to),
      start + from,
      this.#path,
    )
  }

  #writeSlots(start: number): void {
    if (this.#groups.size >= FULL_HASH_GROUPS) {
      this.#ops.write(
        'index.hash',
        this.#fd,
        this.#block.subarray(HASH_OFFSET),
        start + HASH_OFFSET,
        this.#path,
      )
      return
    }
    for (const group of this.#groups) {
      const at = HASH_OFFSET + 8 * group
      this.#ops.write(
        'index.hash',
        this.#fd,
        this.#block.subarray(at, at + 8),
        start + at,
        this.#path,
      )
    }
  }

  /** Later entries were put in after earlier ones, so taking them out breaks no probe sequence. */
  #dropPast(limit: number): void {
    const start = this.#number * INDEX_BLOCK_BYTES
    for (let slot = 0; slot < HASH_SLOTS; slot++) {
      if (this.#slots[slot] <= limit) continue
      this.#slots[slot] = 0
      this.#groups.add(slot >>> 2)
    }
    if (this.#groups.size > 0) this.#writeSlots(start)
    const from = pageNumbersOffset(this.#number) + 4 * limit
    if (this.#block.subarray(from, HASH_OFFSET).some((byte) => byte !== 0)) {
      this.#block.fill(0, from, HASH_OFFSET)
      this.#ops.write(
        'index.pages',
        this.#fd,
        this.#block.subarray(from, HASH_OFFSET),
        start + from,
        this.#path,
      )
    }
    this.#clearChanges()
  }

  #clearChanges(): void {
    this.#isNew = false
    this.#firstIndex = 0
    this.#lastIndex = 0
    this.#groups.clear()
  }
}
