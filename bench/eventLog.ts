/**
 * Events of a writer or a reader: rows of 64-bit integers, kept in memory and written once at the
 * end.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Seen, Written } from './arithmetic.ts'

export class EventLog {
  readonly #cells: BigInt64Array
  readonly #width: number
  #used = 0

  /** `capacity` rows of `width` integers. */
  constructor(width: number, capacity: number) {
    this.#width = width
    this.#cells = new BigInt64Array(width * capacity)
  }

  get rows(): number {
    return this.#used / this.#width
  }

  /** Throws RangeError past the capacity. */
  add(...row: readonly bigint[]): void {
    this.#cells.set(row, this.#used)
    this.#used += this.#width
  }

  save(path: string): void {
    writeFileSync(path, new Uint8Array(this.#cells.buffer, 0, this.#used * 8))
  }
}

export const WRITTEN_WIDTH = 4
export const SEEN_WIDTH = 2

export function readWritten(path: string): Written[] {
  return readRows(path, WRITTEN_WIDTH, (cells, at) => ({
    id: Number(cells[at]),
    dueNs: cells[at + 1],
    begunNs: cells[at + 2],
    committedNs: cells[at + 3],
  }))
}

export function readSeen(path: string): Seen[] {
  return readRows(path, SEEN_WIDTH, (cells, at) => ({
    maxId: Number(cells[at]),
    seenNs: cells[at + 1],
  }))
}

function readRows<T>(
  path: string,
  width: number,
  parse: (cells: BigInt64Array, at: number) => T,
): T[] {
  const bytes = readFileSync(path)
  const cells = new BigInt64Array(new Uint8Array(bytes).buffer)
  return Array.from({ length: cells.length / width }, (_, row) => parse(cells, row * width))
}
