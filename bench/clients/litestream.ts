/**
 * The replica folder of Litestream 0.3 (a file replica), read as far as is needed to tell which
 * rows have arrived. A row counts as seen when the WAL segment that holds it lies in the folder: a
 * real reader would first have to restore.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client, ReadClient } from './client.ts'
import { maxRowIdOfSegment } from './litestreamSegment.ts'
import { importPeer } from './peerPackage.ts'

interface Lz4 {
  readonly decompressFrameSync: (data: Buffer) => Buffer
}

/**
 * Looks between two searches for a new generation, which Litestream begins when it lost its place
 * in the WAL.
 */
const GENERATION_EVERY = 50

export const litestream: Client = {
  openWriter() {
    throw new Error('the writer of Litestream is an ordinary SQLite connection')
  },
  openReader,
  digest() {
    throw new Error('a Litestream replica is compared after a restore')
  },
}

async function openReader(folder: string): Promise<ReadClient> {
  const { decompressFrameSync } = await importPeer<Lz4>('lz4-napi')
  const segments = new Segments(join(folder, 'generations'))
  let largest = 0
  return {
    maxId() {
      for (let path = segments.next(); path; path = segments.next()) {
        const segment = decompressFrameSync(readFileSync(path))
        segments.took(segment.length)
        largest = Math.max(largest, maxRowIdOfSegment(segment, segments.isAtStart))
      }
      return largest
    },
    close() {},
  }
}

/**
 * The segments in the order of the WAL. A name says where a segment begins, so the next name is
 * known before the segment exists.
 */
class Segments {
  readonly #folder: string
  readonly #known = new Set<string>()
  #wal = ''
  #index = 0
  #offset = 0
  #looks = 0
  #startsHere = false

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Whether the segment taken last was the first of its WAL. */
  get isAtStart(): boolean {
    return this.#startsHere
  }

  /** The path of the next segment, if it exists. */
  next(): string | undefined {
    if (this.#looks++ % GENERATION_EVERY === 0) this.#follow()
    if (!this.#wal) return undefined
    const here = this.#path(this.#index, this.#offset)
    if (existsSync(here)) return here
    const after = this.#path(this.#index + 1, 0)
    if (this.#offset === 0 || !existsSync(after)) return undefined
    this.#index++
    this.#offset = 0
    return after
  }

  took(bytes: number): void {
    this.#startsHere = this.#offset === 0
    this.#offset += bytes
  }

  #path(index: number, offset: number): string {
    const hex = (value: number) => value.toString(16).padStart(8, '0')
    return join(this.#wal, `${hex(index)}_${hex(offset)}.wal.lz4`)
  }

  /** Goes to the first segment of a new generation. */
  #follow(): void {
    for (const name of existsSync(this.#folder) ? readdirSync(this.#folder) : []) {
      const wal = join(this.#folder, name, 'wal')
      if (this.#known.has(name) || !existsSync(wal)) continue
      const [first] = readdirSync(wal).sort()
      if (!first?.endsWith('.wal.lz4')) continue
      this.#known.add(name)
      this.#wal = wal
      const [index, offset] = first.split(/[_.]/).map((part) => Number.parseInt(part, 16))
      this.#index = index
      this.#offset = offset
    }
  }
}
