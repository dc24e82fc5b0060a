/**
 * The application beside a node, in a process of its own. It writes the node's database while the
 * node leads: SQLite's side of it is made of the source's own WAL writer.
 */
import type { FileOps } from '../../src/platform/fileOps.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { WalWriter } from '../../src/sqlite/walWriter.ts'
import type { Branch, State } from './committedStates.ts'
import {
  type MemoryConnection,
  type MemorySqlite,
  publishedFrames,
  SqliteBusy,
} from './memorySqlite.ts'
import type { Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { Trace } from './trace.ts'

export interface ApplicationParts {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly trace: Trace
  readonly ops: FileOps
  /** Of the node. */
  readonly id: string
  readonly database: MemorySqlite
  /** Whether it takes its node for the leader. */
  readonly mayWrite: () => boolean
  /** A transaction has begun. */
  readonly onBegun: () => void
}

/** Paces between two transactions; bursts are short. */
const BURST_MS = 1
const PAUSES_MS = [BURST_MS, 5, 20, 100, 500, 2000]
const SMALLEST = 4
const LARGEST = 160
/** Bytes of the first page that are SQLite's own. */
const HEADER_BYTES = 100

export class Application {
  readonly isAlive = true
  readonly #parts: ApplicationParts
  readonly #database: MemorySqlite
  #connection: MemoryConnection | undefined
  #writer: WalWriter | undefined
  /** What it writes in; undefined while it writes nothing. */
  #branch: Branch | undefined
  /** Between two transactions on average, for now. */
  #pauseMs = 20
  #paceUntilMs = 0
  #isDue = false
  /** What the transaction makes whose frames lie in the WAL, not published. */
  #unfinished: State | undefined

  constructor(parts: ApplicationParts) {
    this.#parts = parts
    this.#database = parts.database
  }

  get isWriting(): boolean {
    return this.#branch !== undefined
  }

  /** Its commits are those of `branch` from now on. */
  write(branch: Branch): void {
    if (branch === this.#branch) return
    this.end()
    this.#branch = branch
    this.#connection = this.#database.connect(this)
    if (!this.#isDue) this.#later()
  }

  /** The transaction that is under way is never committed; its connection closes. */
  end(): void {
    if (this.#unfinished) this.#branch?.abandon(this.#unfinished)
    this.#unfinished = undefined
    this.#branch = undefined
    this.#writer = undefined
    if (this.#connection) this.#database.close(this.#connection)
    this.#connection = undefined
  }

  #later(): void {
    const { scheduler, random } = this.#parts
    if (scheduler.elapsedMs >= this.#paceUntilMs) this.#changePace()
    this.#isDue = true
    scheduler.after(random.between(0, 2 * this.#pauseMs), () => this.#begin(), this)
  }

  #changePace(): void {
    const { scheduler, random } = this.#parts
    this.#pauseMs = random.pick(PAUSES_MS)
    const forMs = this.#pauseMs === BURST_MS ? random.between(50, 300) : random.between(200, 3000)
    this.#paceUntilMs = scheduler.elapsedMs + forMs
  }

  #begin(): void {
    this.#isDue = false
    const [branch, connection] = [this.#branch, this.#connection]
    if (!branch || !connection) return
    if (!this.#parts.mayWrite()) return this.#later()
    try {
      this.#database.beginWriting(connection)
    } catch (error) {
      if (!(error instanceof SqliteBusy)) throw error
      return this.#later()
    }
    this.#parts.onBegun()
    this.#write(branch, connection)
  }

  /** Frames lie in the WAL for a while before they are published, or are rolled back. */
  #write(branch: Branch, connection: MemoryConnection): void {
    const { scheduler, random } = this.#parts
    this.#database.startOverIfDone(connection)
    const writer = this.#writerNow()
    const size = this.#newSize(branch.pages.length)
    const images = this.#newImages(branch, size)
    const pages = [...images]
    const isRolledBack = random.isTrue(0.05)
    writer.append(
      { count: pages.length, number: (i) => pages[i][0], page: (i) => pages[i][1] },
      isRolledBack ? 0 : size,
    )
    const state = branch.after(images, size)
    this.#unfinished = isRolledBack ? undefined : state
    this.#isDue = true
    scheduler.after(random.between(0.01, 0.5), () => {
      this.#isDue = false
      // Its transaction ended with its connection, if that is another one by now.
      if (connection === this.#connection) {
        this.#unfinished = undefined
        if (isRolledBack) writer.discard()
        else this.#publish(branch, writer, state, images.size)
        this.#database.end(connection)
      }
      if (this.#branch) this.#later()
    })
  }

  #publish(branch: Branch, writer: WalWriter, state: State, written: number): void {
    const { trace, id } = this.#parts
    const size = state.pages.length
    writer.publish(size)
    const number = branch.commit(state)
    trace.add(`application of ${id}`, `commit ${number} of ${written} pages, ${size} in all`)
  }

  /** What others have done to the WAL meanwhile is looked up, as each transaction does. */
  #writerNow(): WalWriter {
    const { files } = this.#database
    const index = new WalIndexReader(files.shm.fd)
    const header = index.read()
    if (!header) throw new Error('the wal-index cannot be read')
    if (!this.#writer)
      this.#writer = new WalWriter(
        files,
        this.#parts.ops,
        header,
        index.rawHeader,
        publishedFrames(files),
      )
    else if (!index.rawHeader.equals(this.#writer.rawHeader))
      this.#writer.takeOver(header, index.rawHeader)
    return this.#writer
  }

  #newSize(pages: number): number {
    const { random } = this.#parts
    if (random.isTrue(0.1)) return Math.min(LARGEST, pages + random.whole(1, 20))
    if (random.isTrue(0.03)) return Math.max(SMALLEST, pages - random.whole(1, 30))
    return pages
  }

  /** The second page in any case: each commit makes another state. */
  #newImages(branch: Branch, size: number): Map<number, Buffer> {
    const { random } = this.#parts
    const pages = new Set([2])
    for (let page = branch.pages.length + 1; page <= size; page++) pages.add(page)
    const more = random.isTrue(0.03) ? size : random.whole(0, 5)
    for (let i = 0; i < more; i++) pages.add(random.whole(1, size))
    const images = new Map<number, Buffer>()
    for (const page of pages) images.set(page, this.#newImage(branch, page, size))
    return images
  }

  #newImage(branch: Branch, page: number, size: number): Buffer {
    const { random } = this.#parts
    const { pageSize } = this.#database.files
    const pattern = Buffer.alloc(16)
    pattern.writeUInt32LE(branch.last + 1, 0)
    pattern.writeUInt32LE(page, 4)
    pattern.writeUInt32LE(random.word(), 8)
    const image = Buffer.alloc(pageSize, pattern)
    if (page > 1) return image
    branch.pages[0].copy(image, 0, 0, HEADER_BYTES)
    image.writeUInt32BE(size, 28)
    return image
  }
}

/** A new database of `count` pages in WAL mode. */
export function firstPages(count: number, pageSize: number): Buffer[] {
  const pages = Array.from({ length: count }, (_, i) => Buffer.alloc(pageSize, `page ${i + 1} `))
  const [header] = pages
  header.fill(0, 0, HEADER_BYTES)
  header.write('SQLite format 3\0', 0, 'latin1')
  header.writeUInt16BE(pageSize === 65536 ? 1 : pageSize, 16)
  header.set([2, 2, 0, 64, 32, 32], 18)
  header.writeUInt32BE(1, 24)
  header.writeUInt32BE(count, 28)
  header.writeUInt32BE(4, 44)
  header.writeUInt32BE(1, 56)
  header.writeUInt32BE(1, 92)
  return pages
}
