/**
 * SQLite of one database as the parts of a node meet it: connections with their transactions, the
 * WAL's locks and read marks, recovery and checkpoints
 * (https://sqlite.org/src/file/src/wal.c: walTryBeginRead, walIndexRecover, walCheckpoint). It has
 * no SQL and no rows; its files are in SQLite's format, so that the node's own readers read them.
 */
import type { FileOps } from '../../src/platform/fileOps.ts'
import type { CheckpointCounts } from '../../src/sqlite/checkpointCounts.ts'
import type { DatabaseFiles } from '../../src/sqlite/databaseFiles.ts'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { FRAME_HEADER_BYTES, frameBytes, frameOffset } from '../../src/sqlite/walFormat.ts'
import { INDEX_HEADER_BYTES, writeIndexHeader } from '../../src/sqlite/walIndexFormat.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { WalIndexWriter } from '../../src/sqlite/walIndexWriter.ts'
import { readWalHeader } from '../../src/sqlite/walProbe.ts'
import { WalReader } from '../../src/sqlite/walReader.ts'
import { DEVICE, type MemoryFiles } from './memoryFiles.ts'
import type { Owner } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'

/** Offsets in the wal-index (https://sqlite.org/walformat.html#the_wal_index_file_format). */
const BACKFILLED_AT = 96
const READ_MARKS_AT = 100
const ATTEMPTED_AT = 128
const UNUSED_MARK = 0xffffffff
const SLOTS = [1, 2, 3, 4] as const
const SHM_BYTES = 32768
const READ_LOCK_BYTE = 123
const WRITE_LOCK_BYTE = 120

export interface MemoryConnection {
  readonly owner: Owner
  readonly isReadOnly: boolean
  /** BEGIN was said, and nothing read since. */
  isBegun: boolean
  /** The READ_LOCK held; undefined outside of a transaction. */
  slot: number | undefined
}

export class SqliteBusy extends Error {
  readonly code = 'SQLITE_BUSY'

  constructor() {
    super('database is locked')
  }
}

export class MemorySqlite {
  readonly path: string
  readonly #files: MemoryFiles
  readonly #random: SeededRandom
  readonly #ops: FileOps
  readonly #connections = new Set<MemoryConnection>()
  #writer: MemoryConnection | undefined
  #openFiles: DatabaseFiles | undefined
  #index: WalIndexReader | undefined

  constructor(path: string, files: MemoryFiles, random: SeededRandom, ops: FileOps) {
    this.path = path
    this.#files = files
    this.#random = random
    this.#ops = ops
  }

  /** Of the database that is open. */
  get files(): DatabaseFiles {
    if (!this.#openFiles) throw new Error(`no connection to ${this.path} is open`)
    return this.#openFiles
  }

  get isOpen(): boolean {
    return this.#openFiles !== undefined
  }

  /** Of the database file. */
  get bytes(): number {
    return this.#named('').size
  }

  connect(owner: Owner, isReadOnly = false): MemoryConnection {
    if (!this.#files.at(this.path))
      throw Object.assign(new Error('unable to open database file'), { code: 'SQLITE_CANTOPEN' })
    this.forgetTheDead()
    if (!this.#openFiles) this.#recover()
    const connection = { owner, isReadOnly, isBegun: false, slot: undefined }
    this.#connections.add(connection)
    return connection
  }

  /** The last connection that may write empties the WAL and removes it. */
  close(connection: MemoryConnection): void {
    this.end(connection)
    this.#connections.delete(connection)
    if (this.#connections.size > 0 || !this.#openFiles) return
    if (!connection.isReadOnly) {
      const { walFrames, backfilled } = this.checkpoint(connection, 'PASSIVE')
      if (walFrames === backfilled)
        for (const suffix of ['-wal', '-shm']) this.#files.remove(`${this.path}${suffix}`)
    }
    this.#openFiles = undefined
  }

  /** A process has died: its locks are gone. */
  forgetTheDead(): void {
    for (const connection of this.#connections) {
      if (connection.owner.isAlive) continue
      this.end(connection)
      this.#connections.delete(connection)
    }
    if (this.#connections.size === 0) this.#openFiles = undefined
  }

  begin(connection: MemoryConnection): void {
    if (connection.isBegun || connection.slot !== undefined)
      throw new Error('cannot start a transaction within a transaction')
    connection.isBegun = true
  }

  /** Begins to read, if a transaction has begun and has not read. */
  read(connection: MemoryConnection): void {
    if (!connection.isBegun || connection.slot !== undefined) return
    connection.slot = this.#readSlot()
  }

  /** BEGIN IMMEDIATE. Throws SqliteBusy. */
  beginWriting(connection: MemoryConnection): void {
    if (this.#writer?.owner.isAlive === false) this.forgetTheDead()
    if (this.#writer) throw new SqliteBusy()
    this.begin(connection)
    this.read(connection)
    this.#writer = connection
  }

  /** COMMIT or ROLLBACK: nothing is written by them here. */
  end(connection: MemoryConnection): void {
    connection.isBegun = false
    connection.slot = undefined
    if (this.#writer === connection) this.#writer = undefined
  }

  get isWritten(): boolean {
    return this.#writer !== undefined
  }

  /** Before a writer appends: starts the WAL over when all of it is backfilled and unread. */
  startOverIfDone(connection: MemoryConnection): void {
    const { mxFrame } = this.#header()
    const isDone = mxFrame > 0 && this.#word(BACKFILLED_AT) === mxFrame
    if (connection.slot !== 0 || !isDone || this.#isMarkHeld()) return
    this.#startOver()
  }

  checkpoint(connection: MemoryConnection, mode: 'PASSIVE' | 'TRUNCATE'): CheckpointCounts {
    const isFree = this.#writer === undefined || this.#writer === connection
    const mayReset = mode === 'TRUNCATE' && isFree
    this.#backfill()
    const { mxFrame } = this.#header()
    const backfilled = this.#word(BACKFILLED_AT)
    const counts = { walFrames: mxFrame, backfilled }
    if (mode === 'PASSIVE') return { busy: false, ...counts }
    if (!mayReset || backfilled < mxFrame || this.#isMarkHeld()) return { busy: true, ...counts }
    this.#startOver()
    const wal = this.#files.at(`${this.path}-wal`)
    if (wal) this.#files.truncate(wal, 0)
    return { busy: false, walFrames: 0, backfilled: 0 }
  }

  /** As `/proc/locks` has them. */
  locks(pidOf: (owner: Owner) => number): string {
    const shm = this.#files.at(`${this.path}-shm`)
    const database = this.#files.at(this.path)
    const lines: string[] = []
    const add = (connection: MemoryConnection, access: string, inode: number, byte: number) => {
      const device = `${hex(DEVICE >> 8n)}:${hex(DEVICE & 0xffn)}:${inode}`
      const range = `${byte} ${byte}`
      lines.push(
        `${lines.length + 1}: POSIX  ADVISORY  ${access} ` +
          `${pidOf(connection.owner)} ${device} ${range}`,
      )
    }
    for (const connection of this.#connections) {
      if (database) add(connection, 'READ', database.number, 1073741826)
      if (shm && connection.slot !== undefined)
        add(connection, 'READ', shm.number, READ_LOCK_BYTE + connection.slot)
      if (shm && this.#writer === connection) add(connection, 'WRITE', shm.number, WRITE_LOCK_BYTE)
    }
    return `${lines.join('\n')}\n`
  }

  #isMarkHeld(): boolean {
    return [...this.#connections].some(({ slot }) => slot !== undefined && slot > 0)
  }

  #isHeld(wanted: number): boolean {
    return [...this.#connections].some(({ slot }) => slot === wanted)
  }

  /** The READ_LOCK for who begins to read now. */
  #readSlot(): number {
    const { mxFrame } = this.#header()
    if (this.#word(BACKFILLED_AT) === mxFrame) return 0
    const exact = SLOTS.find((slot) => this.#mark(slot) === mxFrame)
    if (exact !== undefined) return exact
    const free = SLOTS.find((slot) => !this.#isHeld(slot))
    if (free !== undefined) {
      this.#setWord(READ_MARKS_AT + 4 * free, mxFrame)
      return free
    }
    const usable = SLOTS.filter((slot) => this.#mark(slot) <= mxFrame)
    return usable.reduce((best, slot) => (this.#mark(slot) > this.#mark(best) ? slot : best))
  }

  #backfill(): void {
    const { mxFrame, pages, pageSize } = this.#header()
    let safe = mxFrame
    for (const slot of SLOTS) {
      if (this.#mark(slot) >= safe) continue
      if (this.#isHeld(slot)) safe = this.#mark(slot)
      else this.#setWord(READ_MARKS_AT + 4 * slot, slot === 1 ? safe : UNUSED_MARK)
    }
    if (this.#word(BACKFILLED_AT) >= safe || this.#isHeld(0)) return
    this.#setWord(ATTEMPTED_AT, safe)
    const wal = this.#named('-wal')
    const database = this.#named('')
    const newest = new Map<number, number>()
    for (let frame = this.#word(BACKFILLED_AT) + 1; frame <= safe; frame++)
      newest.set(wal.bytes.readUInt32BE(frameOffset(frame, pageSize)), frame)
    for (const [page, frame] of newest) {
      if (page > pages) continue
      const at = frameOffset(frame, pageSize) + FRAME_HEADER_BYTES
      this.#files.write(database, wal.bytes.subarray(at, at + pageSize), (page - 1) * pageSize)
    }
    if (safe === mxFrame) this.#files.truncate(database, pages * pageSize)
    this.#setWord(BACKFILLED_AT, safe)
  }

  /** walRestartHdr. */
  #startOver(): void {
    const header = this.#header()
    const salt1 = (header.salt1 + 1) >>> 0
    this.#writeHeader({ ...header, mxFrame: 0, salt1, salt2: this.#random.word() })
    this.#setWord(BACKFILLED_AT, 0)
    this.#setWord(ATTEMPTED_AT, 0)
    for (const slot of SLOTS) this.#setWord(READ_MARKS_AT + 4 * slot, slot === 1 ? 0 : UNUSED_MARK)
  }

  /** The first connection makes the wal-index of what lies in the WAL. */
  #recover(): void {
    const database = this.#named('')
    const field = database.bytes.readUInt16BE(16)
    const pageSize = field === 1 ? 65536 : field
    const wal = this.#files.make(`${this.path}-wal`, database.mode)
    const shm = this.#files.make(`${this.path}-shm`, database.mode)
    const pinned = (path: string, inode: typeof wal) => ({
      path,
      fd: this.#files.descriptor(inode),
      dev: DEVICE,
      ino: BigInt(inode.number),
    })
    const files = {
      path: this.path,
      walPath: `${this.path}-wal`,
      pageSize,
      database: pinned(this.path, database),
      shm: pinned(`${this.path}-shm`, shm),
      walFd: this.#files.descriptor(wal),
    }
    this.#openFiles = files
    this.#index = new WalIndexReader(files.shm.fd)
    this.#files.truncate(shm, 0)
    this.#files.write(shm, Buffer.alloc(SHM_BYTES), 0)
    const found = this.#commitsOf(files)
    const index = new WalIndexWriter(files.shm.fd, files.shm.path, this.#ops)
    index.reserve(found.pagesOf.length)
    found.pagesOf.forEach((page, i) => {
      index.add(i + 1, page)
    })
    index.flush()
    this.#writeHeader({ ...found, mxFrame: found.pagesOf.length })
    this.#setWord(ATTEMPTED_AT, found.pagesOf.length)
    for (const slot of SLOTS) {
      const isFirst = slot === 1 && found.pagesOf.length > 0
      this.#setWord(READ_MARKS_AT + 4 * slot, isFirst ? found.pagesOf.length : UNUSED_MARK)
    }
  }

  /** The frames of whole transactions. */
  #commitsOf(files: DatabaseFiles) {
    const none = { pagesOf: [] as number[], pages: 0, pageSize: 0, bigEndianWal: false, change: 0 }
    const header = readWalHeader(files.walFd)
    const empty = { ...none, salt1: 0, salt2: 0, frameChecksum: { s0: 0, s1: 0 } }
    if (!header) return empty
    const reader = new WalReader(files.walFd, files.pageSize, frameBytes(files.pageSize))
    reader.startGeneration(header.salt1, header.salt2)
    const read: number[] = []
    let found = { ...empty, salt1: header.salt1, salt2: header.salt2 }
    for (let next = reader.readNext(); next; next = reader.readNext()) {
      read.push(next.pageNumbers[0])
      const pages = next.commitPages[0]
      const frameChecksum = next.checksumAfter(0)
      reader.consume(1)
      const { pageSize } = files
      if (pages > 0) found = { ...found, pagesOf: [...read], pages, pageSize, frameChecksum }
    }
    return found.pagesOf.length > 0 ? found : empty
  }

  #header() {
    const header = this.#index?.read()
    if (!header) throw new Error(`the wal-index of ${this.path} cannot be read`)
    return { ...header, pageSize: header.pageSize || this.files.pageSize }
  }

  #writeHeader(header: Parameters<typeof writeIndexHeader>[1]): void {
    const both = Buffer.alloc(2 * INDEX_HEADER_BYTES)
    // A view of words must begin at a multiple of four.
    const first = Buffer.from(new ArrayBuffer(INDEX_HEADER_BYTES))
    writeIndexHeader(first, header)
    both.set(first, 0)
    both.set(first, INDEX_HEADER_BYTES)
    this.#files.write(this.#named('-shm'), both, 0)
  }

  #mark(slot: number): number {
    return this.#word(READ_MARKS_AT + 4 * slot)
  }

  #word(at: number): number {
    return this.#named('-shm').bytes.readUInt32LE(at)
  }

  #setWord(at: number, value: number): void {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    this.#files.write(this.#named('-shm'), bytes, at)
  }

  #named(suffix: string) {
    return this.#files.make(`${this.path}${suffix}`)
  }
}

/** The frames of the WAL that are published, by page. */
export function publishedFrames({ walFd, shm, pageSize }: DatabaseFiles): FrameMap {
  const frames = new FrameMap()
  const header = new WalIndexReader(shm.fd).read()
  if (!header || header.mxFrame === 0) return frames
  const reader = new WalReader(walFd, pageSize, 64 * frameBytes(pageSize))
  reader.startGeneration(header.salt1, header.salt2)
  while (reader.frame < header.mxFrame) {
    const segment = reader.read(header.mxFrame)
    for (let i = 0; i < segment.count; i++)
      frames.set(segment.pageNumbers[i], segment.firstFrame + i)
    reader.consume(segment.count)
  }
  return frames
}

function hex(number: bigint): string {
  return number.toString(16).padStart(2, '0')
}
