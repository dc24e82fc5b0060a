/**
 * Brings one replica to the leader's state by sending page images, while writers go on and
 * checkpoints run.
 *
 * Every image is checked against the page checksums of the captured state before it is sent, so
 * that no lock needs holding: an image that moved beneath is simply sent later. Pages that change
 * after they were sent are sent again. When few are left, they are read at one position and sent as
 * the last message; then the replica is at that position.
 */
import { encode, pagesPayloadBytes } from '../../proto/codec.ts'
import { GROUP_PAGES, HEADER_BYTES, MAX_BODY_BYTES, MAX_PAGES } from '../../proto/limits.ts'
import { WalcastError } from '../errors.ts'
import { readSync } from '../platform/files.ts'
import { delay } from '../platform/time.ts'
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import { readFrameImage, readZeroFilled } from '../sqlite/pageScan.ts'
import { PageSet } from '../sqlite/pageSet.ts'
import { pageSum } from '../sqlite/pageSums.ts'
import { lockPage } from '../sqlite/walFormat.ts'

export interface PageServerHost extends CheckedPages {
  readonly db: string
  /** The captured position. */
  position(): {
    readonly epoch: number
    readonly incarnation: string
    readonly txid: number
    readonly checksum: string
    readonly isOpen: boolean
  }
  isConnected(): boolean
  /** Captures what is published, before pages that would not verify are tried again. */
  look(): void
  /**
   * Sends, and waits until the connection takes more; `onTaken` is called when the message may be
   * used again. Throws when it is closed.
   */
  send(message: Buffer, onTaken: () => void): Promise<void>
  /**
   * Sends the last message and lets the batches after this position follow, before anything else is
   * captured.
   */
  finish(message: Buffer): void
}

/** Pages left that are sent as the last message, read at one position. */
const FINAL_BYTES = 1024 * 1024
const MESSAGE_BYTES = 1024 * 1024
/** Room for a message with page numbers and body. */
const MESSAGE_BUFFER_BYTES = MESSAGE_BYTES + 4 * MAX_PAGES + HEADER_BYTES + MAX_BODY_BYTES
const RETRY_MS = 2
/** After so many rounds without one page that verifies, the leader's own file is suspected. */
const MAX_FRUITLESS_ROUNDS = 2000

interface ReadPages {
  readonly pages: readonly number[]
  /** Their images as the file has them, one after another. */
  readonly images: Buffer
}

export class PageServer {
  readonly #host: PageServerHost
  readonly #wanted: PageSet
  readonly #differing: number[] = []
  #nextGroup = 0
  #pass = 0
  #fruitlessRounds = 0
  #isWaiting = false
  /** One is read into while the other is sent from. */
  readonly #images = [
    Buffer.allocUnsafeSlow(MESSAGE_BYTES),
    Buffer.allocUnsafeSlow(MESSAGE_BYTES),
  ] as const
  #spare: 0 | 1 = 0
  /** Message buffers that the network has taken: large ones are costly to allocate. */
  readonly #messages: Buffer[] = []

  constructor(host: PageServerHost) {
    this.#host = host
    this.#wanted = new PageSet(host.sums.pages)
    this.#wanted.addRange(1, host.sums.pages)
    this.#wanted.delete(lockPage(host.files.pageSize))
  }

  /** Within a huge transaction, with nothing left to send but the end of it. */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /**
   * Strikes off the groups that the replica has already: `sums` are little-endian group checksums
   * from `firstGroup`. Remembers the others. Throws MESSAGE_BAD unless they come in order.
   */
  skipEqualGroups(firstGroup: number, sums: Buffer): void {
    if (firstGroup !== this.#nextGroup)
      throw new WalcastError('MESSAGE_BAD', {
        detail: `group ${firstGroup} came for ${this.#nextGroup}`,
      })
    this.#nextGroup += sums.length / 8
    for (let at = 0; at < sums.length; at += 8) {
      const group = firstGroup + at / 8
      const first = group * GROUP_PAGES + 1
      if (first > this.#host.sums.pages) return
      if (sums.readBigUInt64LE(at) !== this.#host.sums.groupSum(group, GROUP_PAGES))
        this.#differing.push(group)
      else this.#wanted.deleteRange(first, first + GROUP_PAGES - 1)
    }
  }

  /** Groups that the replica has in part or in another state. */
  get differing(): readonly number[] {
    return this.#differing
  }

  /**
   * Strikes off the pages that the replica has already: `sums` are little-endian checksums from
   * `firstPage`.
   */
  skipEqual(firstPage: number, sums: Buffer): void {
    for (let at = 0; at < sums.length; at += 8) {
      const page = firstPage + at / 8
      if (sums.readBigUInt64LE(at) === this.#host.sums.get(page)) this.#wanted.delete(page)
    }
  }

  /** Pages changed by a batch that was captured meanwhile. */
  onCaptured(pageNumbers: readonly number[]): void {
    for (const page of pageNumbers) this.#wanted.add(page)
  }

  /** Sends all that is wanted, the last of it with `finish`. */
  async run(): Promise<void> {
    const finalPages = Math.min(MAX_PAGES, Math.floor(FINAL_BYTES / this.#host.files.pageSize))
    for (;;) {
      while (this.#wanted.size > finalPages) await this.#sendPass()
      if (this.#tryFinish()) return
      this.#isWaiting = this.#host.position().isOpen
      await this.#waitAndLook()
      this.#isWaiting = false
    }
  }

  async #waitAndLook(): Promise<void> {
    if (!this.#host.isConnected()) throw new WalcastError('STOPPING')
    // Within a huge transaction there is no position to finish at; that ends by itself.
    if (!this.#host.position().isOpen && ++this.#fruitlessRounds > MAX_FRUITLESS_ROUNDS) {
      const page = this.#wanted.peek()
      const detail = `pages such as ${page} do not match the checksums that the leader keeps`
      throw new WalcastError('DB_CORRUPT', { path: this.#host.files.path, detail })
    }
    await delay(RETRY_MS)
    this.#host.look()
  }

  /** The next images are read while the ones before are sent. */
  async #sendPass(): Promise<void> {
    this.#pass++
    let reading = this.#readNext(1)
    for (;;) {
      const read = await reading
      if (read.pages.length === 0) return
      reading = this.#readNext(read.pages[read.pages.length - 1] + 1)
      reading.catch(() => {})
      await this.#sendPages(read)
    }
  }

  async #readNext(from: number): Promise<ReadPages> {
    const { pageSize } = this.#host.files
    const pages = this.#wanted.take(from, Math.min(MAX_PAGES, MESSAGE_BYTES / pageSize))
    this.#spare = this.#spare === 0 ? 1 : 0
    const images = this.#images[this.#spare].subarray(0, pages.length * pageSize)
    await this.#readImages(pages, images)
    return { pages, images }
  }

  async #sendPages({ pages, images }: ReadPages): Promise<void> {
    const { db, files, sums } = this.#host
    const { pageSize } = files
    const good: number[] = []
    for (let i = 0; i < pages.length; i++) {
      const page = pages[i]
      if (page > sums.pages) continue
      if (this.#isCurrent(page, images.subarray(i * pageSize, (i + 1) * pageSize))) good.push(i)
      else this.#wanted.add(page)
    }
    if (good.length === 0) return this.#waitAndLook()
    this.#fruitlessRounds = 0
    const { epoch } = this.#host.position()
    const body = {
      db,
      epoch,
      pageSize,
      pages: good.length,
      pass: this.#pass,
      remaining: this.#wanted.size,
      dbPages: sums.pages,
    }
    const buffer = this.#messages.pop() ?? Buffer.allocUnsafeSlow(MESSAGE_BUFFER_BYTES)
    const message = encode(
      'pages',
      body,
      pagesPayloadBytes(good.length, pageSize),
      (payload) => fillPages(payload, good, pages, images, pageSize),
      (bytes) => buffer.subarray(0, bytes),
    )
    await this.#host.send(message, () => this.#messages.push(buffer))
  }

  /** Reads runs of neighbouring pages in one go. */
  async #readImages(pages: readonly number[], images: Buffer): Promise<void> {
    const { database, pageSize } = this.#host.files
    for (let i = 0; i < pages.length; ) {
      let end = i + 1
      while (end < pages.length && pages[end] === pages[end - 1] + 1) end++
      await readZeroFilled(
        database.fd,
        images.subarray(i * pageSize, end * pageSize),
        (end - i) * pageSize,
        (pages[i] - 1) * pageSize,
      )
      i = end
    }
  }

  /**
   * Whether `image`, read from the file, is the page's captured state; if not, it is read again
   * from the WAL.
   */
  #isCurrent(page: number, image: Buffer): boolean {
    const { files, frames, sums } = this.#host
    const expected = sums.get(page)
    const frame = frames.get(page)
    if (frame === 0) return pageSum(page, image) === expected
    readFrameImage(files.walFd, frame, files.pageSize, image)
    if (pageSum(page, image) === expected) return true
    const got = readSync(files.database.fd, image, 0, files.pageSize, (page - 1) * files.pageSize)
    image.fill(0, got)
    return pageSum(page, image) === expected
  }

  /**
   * Reads what is left without letting anything else run between, so that all of it is of one
   * position.
   */
  #tryFinish(): boolean {
    const { db, files, sums } = this.#host
    const { epoch, incarnation, txid, checksum, isOpen } = this.#host.position()
    if (isOpen) return false
    const { pageSize } = files
    const pages = this.#wanted.take(1, MAX_PAGES).filter((page) => page <= sums.pages)
    const images = Buffer.allocUnsafeSlow(pages.length * pageSize)
    for (let i = 0; i < pages.length; i++) {
      const image = images.subarray(i * pageSize, (i + 1) * pageSize)
      const got = readSync(files.database.fd, image, 0, pageSize, (pages[i] - 1) * pageSize)
      image.fill(0, got)
      if (this.#isCurrent(pages[i], image)) continue
      for (const page of pages) this.#wanted.add(page)
      return false
    }
    const dbPages = sums.pages
    const body = { db, epoch, incarnation, txid, checksum, pageSize, pages: pages.length, dbPages }
    const all = pages.map((_, i) => i)
    const message = encode('synced', body, pagesPayloadBytes(pages.length, pageSize), (payload) =>
      fillPages(payload, all, pages, images, pageSize),
    )
    this.#host.finish(message)
    return true
  }
}

function fillPages(
  payload: Buffer,
  chosen: readonly number[],
  pages: readonly number[],
  images: Buffer,
  pageSize: number,
): void {
  for (let k = 0; k < chosen.length; k++) {
    const i = chosen[k]
    payload.writeUInt32LE(pages[i], 4 * k)
    payload.set(images.subarray(i * pageSize, (i + 1) * pageSize), 4 * chosen.length + k * pageSize)
  }
}
