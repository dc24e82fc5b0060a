/**
 * Follows the commits of a database by its WAL, for a process without a connection of SQLite: it
 * takes no lock, keeps nobody from checkpointing, and may therefore miss commits, which it notices.
 *
 * Memory: 4 bytes for each page that the WAL holds, one segment, and the pages of one look.
 */
import { openError } from '../errors.ts'
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from '../platform/files.ts'
import { openPlain } from '../platform/plainFiles.ts'
import { FrameMap } from './frameMap.ts'
import { readZeroFilled } from './pageScan.ts'
import { FRAME_HEADER_BYTES, frameBytes, frameOffset, isPageSize } from './walFormat.ts'
import type { WalIndexHeader } from './walIndexFormat.ts'
import { WalIndexReader } from './walIndexReader.ts'
import { readWalHeader } from './walProbe.ts'
import { WalReader } from './walReader.ts'

export interface FollowedCommit {
  /** Of its last frame: how much of the WAL was published with it. */
  readonly walBytes: number
  /** Counted up when a WAL starts over. */
  readonly generation: number
  /** Without repetition. */
  readonly changed: readonly number[]
  /** Size of the database after it. */
  readonly pages: number
}

export interface FollowedStep {
  readonly commits: readonly FollowedCommit[]
  /** Whether commits before these may have been missed. */
  readonly isBroken: boolean
}

const SEGMENT_BYTES = 1024 * 1024
const NOTHING: FollowedStep = { commits: [], isBroken: false }

export class CommitFollower {
  readonly #databaseFd: number
  readonly #walFd: number
  readonly #shmFd: number
  readonly #index: WalIndexReader
  readonly #reader: WalReader
  readonly #frames = new FrameMap()
  readonly pageSize: number
  #generation = 0
  #change: number
  #pages: number
  #open = new Set<number>()

  /** Begins behind what is published now. Undefined while there is nothing to follow. */
  static open(path: string): CommitFollower | undefined {
    const fds: number[] = []
    const look = (name: string, open: typeof openPlain | typeof openSync): number => {
      try {
        const fd = open(name, constants.O_RDONLY)
        fds.push(fd)
        return fd
      } catch (error) {
        throw openError(name, error)
      }
    }
    try {
      const database = look(path, openSync)
      const [wal, shm] = ['-wal', '-shm'].map((suffix) => look(`${path}${suffix}`, openPlain))
      const header = new WalIndexReader(shm).read()
      const pageSize = header?.pageSize || pageSizeIn(database)
      if (header && isPageSize(pageSize))
        return new CommitFollower([database, wal, shm], header, pageSize)
    } catch {
      // They are made, or removed, just now.
    }
    for (const fd of fds) closeSync(fd)
    return undefined
  }

  private constructor(
    [database, wal, shm]: readonly [number, number, number],
    header: WalIndexHeader,
    pageSize: number,
  ) {
    this.#databaseFd = database
    this.#walFd = wal
    this.#shmFd = shm
    this.pageSize = pageSize
    this.#index = new WalIndexReader(shm)
    this.#reader = new WalReader(wal, pageSize, SEGMENT_BYTES)
    this.#change = header.change
    this.#pages = header.pages
    this.#joinAt(header)
  }

  /** Pages of the database after the last commit of the last step. */
  get pages(): number {
    return this.#pages
  }

  /** Whether the WAL that was read last is still the one in the file. */
  get isWhole(): boolean {
    const now = readWalHeader(this.#walFd)
    return now !== undefined && this.#reader.isGeneration(now.salt1, now.salt2)
  }

  /** Whether the WAL and the wal-index of the database at `path` are still those that are open. */
  isStillAt(path: string): boolean {
    return [[this.#walFd, `${path}-wal`] as const, [this.#shmFd, `${path}-shm`] as const].every(
      ([fd, name]) => fstatSync(fd).ino === statSync(name, { throwIfNoEntry: false })?.ino,
    )
  }

  /** The commits that were published since the last step. */
  step(): FollowedStep {
    const header = this.#index.read()
    if (!header || header.pageSize !== this.pageSize) return NOTHING
    const isSame = this.#reader.isGeneration(header.salt1, header.salt2)
    // The WAL begins with the first frame of the new generation.
    if (!isSame && header.mxFrame === 0) return NOTHING
    try {
      if (!isSame) this.#startOver(header)
      const commits = this.#readTo(header.mxFrame)
      const wanted = (header.change - this.#change) >>> 0
      this.#change = header.change
      return { commits, isBroken: !isSame && wanted > commits.length }
    } catch {
      // Overwritten while it was read.
      this.#joinAt(header)
      return { commits: [], isBroken: true }
    }
  }

  /** The image of a page after the last commit of the last step. A buffer of its own. */
  readonly read = async (page: number): Promise<Buffer> => {
    const image = Buffer.alloc(this.pageSize)
    const frame = this.#frames.get(page)
    if (frame === 0)
      await readZeroFilled(this.#databaseFd, image, this.pageSize, (page - 1) * this.pageSize)
    else {
      const at = frameOffset(frame, this.pageSize) + FRAME_HEADER_BYTES
      await readZeroFilled(this.#walFd, image, this.pageSize, at)
    }
    return image
  }

  close(): void {
    for (const fd of [this.#databaseFd, this.#walFd, this.#shmFd]) closeSync(fd)
  }

  #startOver({ salt1, salt2 }: WalIndexHeader): void {
    this.#reader.startGeneration(salt1, salt2)
    this.#generation++
    this.#frames.clear()
    this.#open.clear()
  }

  #joinAt(header: WalIndexHeader): void {
    const { mxFrame, salt1, salt2, frameChecksum, change, pages } = header
    this.#generation++
    this.#frames.clear()
    this.#open.clear()
    this.#change = change
    this.#pages = pages
    const wal = readWalHeader(this.#walFd)
    // One that has no frame yet has no header of its own.
    if (!wal || wal.salt1 !== salt1 || wal.salt2 !== salt2) return
    this.#index.pageNumbers(1, mxFrame).forEach((page, i) => void this.#frames.set(page, i + 1))
    this.#reader.resume({ header: wal, frame: mxFrame, checksum: frameChecksum })
  }

  #readTo(mxFrame: number): FollowedCommit[] {
    const commits: FollowedCommit[] = []
    while (this.#reader.frame < mxFrame) {
      const { firstFrame, count, pageNumbers, commitPages } = this.#reader.read(mxFrame)
      for (let i = 0; i < count; i++) {
        this.#open.add(pageNumbers[i])
        this.#frames.set(pageNumbers[i], firstFrame + i)
        if (commitPages[i] === 0) continue
        this.#pages = commitPages[i]
        const walBytes = (firstFrame + i) * frameBytes(this.pageSize)
        const changed = [...this.#open]
        commits.push({ walBytes, generation: this.#generation, changed, pages: commitPages[i] })
        this.#open = new Set()
      }
      this.#reader.consume(count)
    }
    return commits
  }
}

/** What the header of a database says; a wal-index without frames does not tell. */
function pageSizeIn(databaseFd: number): number {
  const bytes = Buffer.alloc(2)
  readSync(databaseFd, bytes, 0, bytes.length, 16)
  const size = bytes.readUInt16BE(0)
  return size === 1 ? 65536 : size
}
