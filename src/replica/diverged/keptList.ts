/**
 * Reads `rows.jsonl` of a bundle (see keptFolder.ts) in parts: it may be hundreds of megabytes. A
 * row is named by the place of its line in the file, so that a page begins without reading what is
 * before it.
 */
import { WalcastError } from '../../errors.ts'
import { closeSync, constants, fstatSync, readSync } from '../../platform/files.ts'
import { openPlain } from '../../platform/plainFiles.ts'
import type { RowLine } from '../../rowdiff/rowJson.ts'
import type { KeptTable } from './keptRow.ts'

const CHUNK_BYTES = 256 * 1024
/** A longer line is not parsed. */
const MAX_LINE_BYTES = 16 * 1024 * 1024
/** The summary is the last line. It grows with the number of tables. */
const FIRST_TAIL_BYTES = 16 * 1024
const MAX_TAIL_BYTES = 4 * 1024 * 1024
const NEWLINE = 10
/** What the line of a row begins with. Lines of the schema and the summary begin otherwise. */
const HEAD = /^\{"table":("(?:[^"\\]|\\.)*"),"kind":"(removed|changed)"/
const MAX_HEAD_BYTES = 16 * 1024

export interface ListedRow {
  /** Place of its line, in bytes. */
  readonly at: number
  /** Place behind its line. */
  readonly next: number
  readonly table: string
  readonly kind: 'removed' | 'changed'
  /** Undefined for a line that is too long. */
  readonly line: RowLine | undefined
}

interface Line {
  readonly at: number
  readonly next: number
  /** Without the newline; the beginning of one that is too long. */
  readonly bytes: Buffer
}

export class KeptList {
  readonly #fd: number
  readonly #size: number

  /** Throws STRANGE_FILE, or what open(2) does when there is no such file. */
  constructor(path: string) {
    this.#fd = openPlain(path, constants.O_RDONLY)
    this.#size = fstatSync(this.#fd).size
  }

  close(): void {
    closeSync(this.#fd)
  }

  /**
   * The rows from the place `at` on, of one table or of all. Throws BAD_REQUEST for a place where
   * no line begins.
   */
  *rows(at: number, table?: string): Generator<ListedRow, void, void> {
    this.#requireLine(at)
    const start = table === undefined ? undefined : `{"table":${JSON.stringify(table)},`
    const wanted = start === undefined ? undefined : Buffer.from(start)
    for (const line of this.#lines(at)) {
      if (wanted && !line.bytes.subarray(0, wanted.length).equals(wanted)) continue
      const row = rowOf(line)
      if (row) yield row
    }
  }

  /** Throws BAD_REQUEST when none is there. */
  row(at: number): ListedRow {
    this.#requireLine(at)
    const [line] = this.#lines(at)
    const row = line && rowOf(line)
    if (!row) throw noRow(at)
    return row
  }

  /** How many rows there are of each table; empty when the list does not tell. */
  tables(): KeptTable[] {
    for (let bytes = FIRST_TAIL_BYTES; ; bytes *= 4) {
      const from = Math.max(0, this.#size - bytes)
      const text = this.#read(from, this.#size - from)
        .toString('utf8')
        .trimEnd()
      const begins = text.lastIndexOf('\n') + 1
      if (begins > 0 || from === 0) return tablesIn(text.slice(begins))
      if (bytes >= MAX_TAIL_BYTES) return []
    }
  }

  #requireLine(at: number): void {
    const isLine = at === 0 || (at < this.#size && this.#read(at - 1, 1)[0] === NEWLINE)
    if (!isLine && at !== this.#size) throw noRow(at)
  }

  *#lines(from: number): Generator<Line, void, void> {
    let at = from
    let kept: Buffer[] = []
    let bytes = 0
    for (let place = from; place < this.#size; ) {
      const chunk = this.#read(place, Math.min(CHUNK_BYTES, this.#size - place))
      if (chunk.length === 0) return
      let begin = 0
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, begin)) {
        const next = place + end + 1
        yield { at, next, bytes: Buffer.concat([...kept, chunk.subarray(begin, end)]) }
        kept = []
        bytes = 0
        begin = end + 1
        at = next
      }
      bytes += chunk.length - begin
      if (bytes <= MAX_LINE_BYTES + CHUNK_BYTES) kept.push(chunk.subarray(begin))
      place += chunk.length
    }
  }

  #read(at: number, length: number): Buffer {
    const buffer = Buffer.alloc(length)
    let done = 0
    while (done < length) {
      const count = readSync(this.#fd, buffer, done, length - done, at + done)
      if (count === 0) break
      done += count
    }
    return buffer.subarray(0, done)
  }
}

function rowOf({ at, next, bytes }: Line): ListedRow | undefined {
  const [, table, kind] = HEAD.exec(bytes.toString('utf8', 0, MAX_HEAD_BYTES)) ?? []
  if (table === undefined || (kind !== 'removed' && kind !== 'changed')) return undefined
  const isLong = next - at > MAX_LINE_BYTES
  const line: RowLine | undefined = isLong ? undefined : JSON.parse(bytes.toString('utf8'))
  return { at, next, table: JSON.parse(table), kind, line }
}

function tablesIn(line: string): KeptTable[] {
  if (!line.startsWith('{"summary":')) return []
  const { summary } = JSON.parse(line)
  const tables: readonly KeptTable[] = summary.tables
  return tables
    .filter(({ removed, changed }) => removed + changed > 0)
    .map(({ table, removed, changed }) => ({ table, removed, changed }))
}

function noRow(at: number): WalcastError {
  return new WalcastError('BAD_REQUEST', { detail: `no row ${at} in the list of this bundle` })
}
