/**
 * The body of a batch, read and written by offset. It is msgpack like every other body, with the
 * fields in the order of `MESSAGES`, whole numbers as float64 and a checksum of 16 digits. So
 * nothing in it changes but the values, and no commit needs a general packer. That costs most after
 * some milliseconds of rest.
 */
import { type Body, MESSAGES } from './messages.ts'

type BatchBody = Body<'batch'>
type Key = keyof BatchBody
type NumberKey = { [K in Key]: BatchBody[K] extends number ? K : never }[Key]

const FIXMAP = 0x80
const FIXSTR = 0xa0
const STR8 = 0xd9
const STR16 = 0xda
const FLOAT64 = 0xcb
const FALSE = 0xc2
const TRUE = 0xc3
const FIXSTR_MAX = 31
const STR8_MAX = 255
const CHECKSUM_CHARS = 16
const KEYS = Object.keys(MESSAGES.batch.fields) as Key[]

/** The form of all batch bodies for one database name. */
export class BatchForm {
  readonly db: string
  readonly #bytes: Buffer
  /** 1 where a byte is the same in all of them. */
  readonly #fixed: Uint8Array
  readonly #offsets: Readonly<Record<NumberKey | 'last' | 'checksum', number>>

  private constructor(
    db: string,
    bytes: Buffer,
    fixed: Uint8Array,
    offsets: Record<string, number>,
  ) {
    this.db = db
    this.#bytes = bytes
    this.#fixed = fixed
    this.#offsets = offsets as Record<NumberKey | 'last' | 'checksum', number>
  }

  static of(db: string): BatchForm {
    const parts: Buffer[] = [Buffer.of(FIXMAP | KEYS.length)]
    const holes: [from: number, bytes: number][] = []
    const offsets: Record<string, number> = {}
    const end = () => parts.reduce((sum, part) => sum + part.length, 0)
    const hole = (key: Key, mark: readonly number[], bytes: number) => {
      parts.push(Buffer.from(mark))
      offsets[key] = end()
      holes.push([end(), bytes])
      parts.push(Buffer.alloc(bytes))
    }
    for (const key of KEYS) {
      parts.push(text(key))
      if (key === 'db') parts.push(text(db))
      else if (key === 'last') hole(key, [], 1)
      else if (key === 'checksum') hole(key, [FIXSTR | CHECKSUM_CHARS], CHECKSUM_CHARS)
      else hole(key, [FLOAT64], 8)
    }
    const bytes = Buffer.concat(parts)
    const fixed = new Uint8Array(bytes.length).fill(1)
    for (const [from, count] of holes) fixed.fill(0, from, from + count)
    return new BatchForm(db, bytes, fixed, offsets)
  }

  get length(): number {
    return this.#bytes.length
  }

  /** Whether a body can have this form; chunks before the last have no checksum. */
  fits(body: BatchBody): boolean {
    return body.db === this.db && body.checksum.length === CHECKSUM_CHARS
  }

  /** Writes `length` bytes at `at`. */
  write(target: Buffer, at: number, body: BatchBody): void {
    const offsets = this.#offsets
    target.set(this.#bytes, at)
    target.writeDoubleBE(body.epoch, at + offsets.epoch)
    target.writeDoubleBE(body.fromTxid, at + offsets.fromTxid)
    target.writeDoubleBE(body.txid, at + offsets.txid)
    target.writeDoubleBE(body.chunk, at + offsets.chunk)
    target[at + offsets.last] = body.last ? TRUE : FALSE
    target.writeDoubleBE(body.pageSize, at + offsets.pageSize)
    target.writeDoubleBE(body.pages, at + offsets.pages)
    target.writeDoubleBE(body.dbPages, at + offsets.dbPages)
    for (let i = 0; i < CHECKSUM_CHARS; i++)
      target[at + offsets.checksum + i] = body.checksum.charCodeAt(i)
    target.writeDoubleBE(body.noticeMs, at + offsets.noticeMs)
    target.writeDoubleBE(body.noticedMs, at + offsets.noticedMs)
    target.writeDoubleBE(body.sentMs, at + offsets.sentMs)
  }

  /**
   * The body at `at`, of `length` bytes; undefined when it has another form. Values are not
   * checked.
   */
  read(source: Buffer, at: number): BatchBody | undefined {
    const bytes = this.#bytes
    const offsets = this.#offsets
    for (let i = 0; i < bytes.length; i++) {
      if (this.#fixed[i] === 1 && source[at + i] !== bytes[i]) return undefined
    }
    const last = source[at + offsets.last]
    if (last !== TRUE && last !== FALSE) return undefined
    return {
      db: this.db,
      epoch: source.readDoubleBE(at + offsets.epoch),
      fromTxid: source.readDoubleBE(at + offsets.fromTxid),
      txid: source.readDoubleBE(at + offsets.txid),
      chunk: source.readDoubleBE(at + offsets.chunk),
      last: last === TRUE,
      pageSize: source.readDoubleBE(at + offsets.pageSize),
      pages: source.readDoubleBE(at + offsets.pages),
      dbPages: source.readDoubleBE(at + offsets.dbPages),
      checksum: source.toString(
        'latin1',
        at + offsets.checksum,
        at + offsets.checksum + CHECKSUM_CHARS,
      ),
      noticeMs: source.readDoubleBE(at + offsets.noticeMs),
      noticedMs: source.readDoubleBE(at + offsets.noticedMs),
      sentMs: source.readDoubleBE(at + offsets.sentMs),
    }
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from(textMark(bytes.length)), bytes])
}

function textMark(bytes: number): number[] {
  if (bytes <= FIXSTR_MAX) return [FIXSTR | bytes]
  return bytes <= STR8_MAX ? [STR8, bytes] : [STR16, bytes >>> 8, bytes & 0xff]
}
