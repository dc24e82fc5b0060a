/**
 * A program that reads a copy, as any SQLite would: each of its transactions sees one state that
 * was committed at the leader, the same until it ends, and none that is older than one it has seen.
 */
import assert from 'node:assert/strict'
import { readSync } from '../../src/platform/files.ts'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { readFrameImage } from '../../src/sqlite/pageScan.ts'
import { pageSum } from '../../src/sqlite/pageSums.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { checksumHex } from '../../src/xxh64.ts'
import type { CommittedStates } from './committedStates.ts'
import { type MemoryConnection, type MemorySqlite, publishedFrames } from './memorySqlite.ts'

export class Reader {
  readonly isAlive = true
  readonly #database: MemorySqlite
  readonly #states: CommittedStates
  #connection: MemoryConnection | undefined
  #frames = new FrameMap()
  #pages = 0
  #seen = ''
  #one = Buffer.alloc(0)
  /** The newest commit that it has seen. */
  newest = 0

  constructor(database: MemorySqlite, states: CommittedStates) {
    this.#database = database
    this.#states = states
  }

  get isReading(): boolean {
    return this.#connection !== undefined
  }

  begin(): void {
    this.#connection = this.#database.connect(this)
    this.#database.begin(this.#connection)
    this.#database.read(this.#connection)
    const { files } = this.#database
    const header = new WalIndexReader(files.shm.fd).read()
    assert.ok(header, `a reader of ${files.path} cannot read the wal-index`)
    const { pageSize, database } = files
    this.#frames = this.#connection.slot === 0 ? new FrameMap() : publishedFrames(files)
    this.#pages = header.pages || this.#database.bytes / pageSize
    this.#seen = this.#checksum(database.fd)
    const number = this.#states.numberOf(this.#seen)
    assert.ok(
      number !== undefined,
      `a reader of ${files.path} sees a state that was never committed (frame ${header.mxFrame})`,
    )
    assert.ok(
      number >= this.newest,
      `a reader of ${files.path} has seen commit ${this.newest} and sees ${number} now`,
    )
    this.newest = number
  }

  /** The pages that it sees, the first one first. */
  images(): Buffer[] {
    const { database } = this.#database.files
    return Array.from({ length: this.#pages }, (_, i) =>
      Buffer.from(this.#image(database.fd, i + 1)),
    )
  }

  end(): void {
    const connection = this.#connection
    if (!connection) return
    this.#connection = undefined
    const { path, database } = this.#database.files
    assert.equal(
      this.#checksum(database.fd),
      this.#seen,
      `what a reader of ${path} sees has changed within its transaction`,
    )
    this.#database.close(connection)
  }

  #checksum(databaseFd: number): string {
    let state = 0n
    for (let page = 1; page <= this.#pages; page++)
      state ^= pageSum(page, this.#image(databaseFd, page))
    return checksumHex(state)
  }

  /** Valid until the next call. */
  #image(databaseFd: number, page: number): Buffer {
    const { pageSize, walFd } = this.#database.files
    if (this.#one.length !== pageSize) this.#one = Buffer.alloc(pageSize)
    const image = this.#one
    const frame = this.#frames.get(page)
    if (frame > 0) readFrameImage(walFd, frame, pageSize, image)
    else image.fill(0, readSync(databaseFd, image, 0, pageSize, (page - 1) * pageSize))
    return image
  }
}
