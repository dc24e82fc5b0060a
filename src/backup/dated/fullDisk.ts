/**
 * A disk that was too full for a snapshot: tells when another try is worth its cost, which is a
 * copy of the whole database.
 */
import { dirname } from 'node:path'
import { freeBytes } from '../../platform/freeBytes.ts'

/** As much of the database must have become free since the last try, or `LEAST_BYTES`. */
const PART = 1 / 16
const LEAST_BYTES = 64 * 1024

export class FullDisk {
  readonly #path: string
  readonly #free: (path: string) => number | undefined
  readonly #enoughBytes: number

  /** `path`: what could not be written. `databaseBytes`: of the database; 0 when not known. */
  constructor(path: string, databaseBytes: number, free = freeAt) {
    this.#path = path
    this.#free = free
    const grown = Math.max(LEAST_BYTES, databaseBytes * PART)
    this.#enoughBytes = (free(path) ?? 0) + grown
  }

  /** False also when it is not known. */
  get hasRoom(): boolean {
    return (this.#free(this.#path) ?? 0) >= this.#enoughBytes
  }
}

/** Undefined when its disk is gone. What was begun at `path` is not there any more. */
function freeAt(path: string): number | undefined {
  try {
    return freeBytes(dirname(path))
  } catch {
    return undefined
  }
}
