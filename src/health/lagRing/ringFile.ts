/**
 * A file of slots that are written one after another, round and round: the oldest one goes. Each
 * slot is one positioned write without a sync. A slot that a crash has torn does not match its
 * checksum, and is a gap.
 *
 * The slots are held in memory as well, 4 MB for a week: to decode them for each question took this
 * thread a tenth of a second.
 *
 * A file that is not this node's, or has another format, is set aside under another name and never
 * changed. Nothing waits for the file, and no failure of it ends anything.
 */
import type { FileHandle } from 'node:fs/promises'
import type { Logger } from 'pino'
import { messageOf } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { constants, existsSync, openAside } from '../../platform/files.ts'
import { requirePlainFile } from '../../platform/plainFiles.ts'
import {
  decodeSlot,
  encodeSlot,
  type HeldSlot,
  heldSlot,
  type LagSlot,
  SLOT_BYTES,
} from './lagSlot.ts'
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  type RingHeader,
  type RingOwner,
  strangeness,
} from './ringHeader.ts'
import { RingIndex } from './ringIndex.ts'
import type { MeasuredSlot } from './slotMeasure.ts'

export interface RingFileParts {
  readonly path: string
  readonly slotMs: number
  readonly slots: number
  /** Asked when the file is opened. */
  owner(): RingOwner
  readonly ops: FileOps
  readonly log: Logger
  /** A slot did not get into the file. */
  onDropped(): void
}

const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants
/** Slots read at once: the thread does other work between. */
const SLOTS_AT_ONCE = 256
/** The most slots that wait for a slow disk. */
const MAX_WAITING = 4
/** The most files that are set aside. */
const MAX_ASIDE = 9

interface OpenRing {
  readonly file: FileHandle
  readonly index: RingIndex
  /** By place in the file, as those of the index. */
  readonly held: (HeldSlot | undefined)[]
}

export class RingFile {
  readonly #parts: RingFileParts
  #ring: OpenRing | undefined
  /** One thing at a time. */
  #work: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #hasFailed = false

  /** Opens nothing yet. */
  constructor(parts: RingFileParts) {
    this.#parts = parts
  }

  get slotMs(): number {
    return this.#parts.slotMs
  }

  /** Never rejects: logs the first of several failures in a row. */
  append(slot: MeasuredSlot): Promise<void> {
    if (this.#waiting >= MAX_WAITING) {
      this.#onDropped(new Error(`${MAX_WAITING} slots wait for the disk already`))
      return Promise.resolve()
    }
    this.#waiting++
    return this.#inTurn(async () => {
      try {
        await this.#write(slot)
        this.#onWritten()
      } catch (error) {
        this.#onDropped(error)
      } finally {
        this.#waiting--
      }
    })
  }

  /** The slots that end past `fromMs` and up to `toMs`, oldest first. None on a failure. */
  read(fromMs: number, toMs: number): Promise<HeldSlot[]> {
    return this.#inTurn(async () => {
      try {
        const { index, held } = await this.#open()
        const found: HeldSlot[] = []
        for (const seq of index.wanted(fromMs, toMs)) {
          const slot = held[index.placeOf(seq)]
          if (slot) found.push(slot)
        }
        return found
      } catch (error) {
        this.#onFailed(error)
        return []
      }
    })
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      const ring = this.#ring
      this.#ring = undefined
      await ring?.file.close()
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work)
    this.#work = done.catch(() => {})
    return done
  }

  async #write(slot: MeasuredSlot): Promise<void> {
    const { file, index, held } = await this.#open()
    const numbered = { ...slot, seq: index.nextSeq }
    const at = HEADER_BYTES + index.placeOf(numbered.seq) * SLOT_BYTES
    const { ops, path } = this.#parts
    await ops.writeAside('lag.write', file.fd, encodeSlot(numbered), at, path)
    index.add(numbered)
    held[index.placeOf(numbered.seq)] = heldSlot(numbered)
  }

  async #open(): Promise<OpenRing> {
    this.#ring ??= await this.#openFile()
    return this.#ring
  }

  async #openFile(): Promise<OpenRing> {
    const { path, slots, slotMs } = this.#parts
    const wanted: RingHeader = { slots, slotMs, slotBytes: SLOT_BYTES, ...this.#parts.owner() }
    const file = await openRing(path)
    try {
      const found = await headerOf(file)
      const header = typeof found === 'object' ? found : undefined
      const why = typeof found === 'string' ? found : header && strangeness(header, wanted)
      if (why !== undefined) {
        this.#setAside(why)
        await file.close()
        return await this.#openFile()
      }
      if (header?.cluster !== wanted.cluster)
        await this.#parts.ops.writeAside('lag.write', file.fd, encodeHeader(wanted), 0, path)
      const index = new RingIndex(slots)
      const held: OpenRing['held'] = []
      await readSlots(file, slots, (slot, place) => {
        if (index.placeOf(slot.seq) !== place) return
        index.add(slot)
        held[place] = heldSlot(slot)
      })
      return { file, index, held }
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
  }

  /** Throws when as many as may be are there already. */
  #setAside(why: string): void {
    const { path, ops, log } = this.#parts
    const names = Array.from({ length: MAX_ASIDE }, (_, i) => `${path}.other-${i + 1}`)
    const aside = names.find((name) => !existsSync(name))
    if (aside === undefined)
      throw new Error(`${why}, and ${MAX_ASIDE} such files are aside already`)
    ops.rename('lag.aside', path, aside)
    log.warn(
      { path, aside, why },
      "set a history of lag aside that is not this node's; a new one begins",
    )
  }

  #onWritten(): void {
    if (this.#hasFailed)
      this.#parts.log.info({ path: this.#parts.path }, 'the history of lag can be written again')
    this.#hasFailed = false
  }

  #onDropped(error: unknown): void {
    this.#parts.onDropped()
    this.#onFailed(error)
  }

  #onFailed(error: unknown): void {
    const { log, path } = this.#parts
    if (!this.#hasFailed)
      log.warn({ path, error: messageOf(error) }, 'cannot write the history of lag; it has a gap')
    this.#hasFailed = true
  }
}

async function openRing(path: string): Promise<FileHandle> {
  requirePlainFile(path)
  return openAside(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
}

/** Undefined for a file without slots, as a crash may leave a new one. Else as `decodeHeader`. */
async function headerOf(file: FileHandle): Promise<RingHeader | string | undefined> {
  const { size } = await file.stat()
  const bytes = Buffer.alloc(HEADER_BYTES)
  const length = await readWhole(file, bytes, 0)
  const found = decodeHeader(bytes.subarray(0, length))
  return typeof found === 'string' && size < HEADER_BYTES + SLOT_BYTES ? undefined : found
}

async function readSlots(
  file: FileHandle,
  count: number,
  take: (slot: LagSlot, place: number) => void,
): Promise<void> {
  for (let done = 0; done < count; done += SLOTS_AT_ONCE) {
    const bytes = Buffer.alloc(Math.min(SLOTS_AT_ONCE, count - done) * SLOT_BYTES)
    const length = await readWhole(file, bytes, HEADER_BYTES + done * SLOT_BYTES)
    for (let at = 0; at + SLOT_BYTES <= length; at += SLOT_BYTES) {
      const slot = decodeSlot(bytes.subarray(at, at + SLOT_BYTES))
      if (slot) take(slot, done + at / SLOT_BYTES)
    }
    if (length < bytes.length) return
  }
}

/** Gives how many bytes there were. */
async function readWhole(file: FileHandle, bytes: Buffer, position: number): Promise<number> {
  let done = 0
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}
