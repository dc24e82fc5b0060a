/** How blocks and the index of an archive file are compressed. */
import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress, constants, deflateRaw, inflateRaw } from 'node:zlib'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { MAX_STORED_BYTES, storeAsBrotli, storedInBrotli } from './storedBrotli.ts'

export type Codec = ArchiveHeader['codec']

/** What compressing may cost: `least` for files that are soon merged into others. */
export type Effort = 'least' | 'some'

interface Coder {
  compress(raw: Buffer, effort?: Effort): Promise<Buffer>
  /** Rejects when it would give more than `maxBytes`. */
  decompress(stored: Buffer, maxBytes: number): Promise<Buffer>
}

const deflate = promisify(deflateRaw)
const inflate = promisify(inflateRaw)
const brotli = promisify(brotliCompress)
const unbrotli = promisify(brotliDecompress)

/**
 * Pages are compressed beside a writer at full speed. Quality 0 takes 0.75 of the time of 1, and
 * gives 2 % more of random rows and 14 % more of text.
 */
const DEFLATE_LEVEL = 1
const BROTLI_QUALITY: Readonly<Record<Effort, number>> = { least: 0, some: 1 }
/** A part that compresses by less stays as it is: random bytes cost a decoder as much as others. */
const LEAST_SAVED = 1 / 16
/** Node gives 16 KB a turn of its thread pool unless told more. A block is done in one. */
const MAX_TURN_BYTES = 1024 * 1024
const MIN_TURN_BYTES = 1024

export const CODECS: Readonly<Record<Codec, Coder>> = {
  none: {
    compress: async (raw) => raw,
    decompress: async (stored) => stored,
  },
  deflate: {
    compress: (raw) => deflate(raw, { level: DEFLATE_LEVEL, ...turnOf(raw.length) }),
    decompress: (stored, maxOutputLength) =>
      inflate(stored, { maxOutputLength, ...turnOf(maxOutputLength) }),
  },
  brotli: {
    async compress(raw, effort = 'some') {
      const params = { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY[effort] }
      const packed = await brotli(raw, { params, ...turnOf(raw.length) })
      return isWorthIt(raw.length, packed.length) ? packed : storeAsBrotli(raw)
    },
    async decompress(stored, maxOutputLength) {
      const raw = storedInBrotli(stored)
      if (raw && raw.length <= maxOutputLength) return raw
      return unbrotli(stored, { maxOutputLength, ...turnOf(maxOutputLength) })
    },
  },
}

/** Whether reading a part is to wait for a decoder. */
function isWorthIt(rawBytes: number, packedBytes: number): boolean {
  if (rawBytes === 0 || rawBytes > MAX_STORED_BYTES) return true
  return rawBytes - packedBytes >= rawBytes * LEAST_SAVED
}

/** With room for one byte more: a turn that fills its room is followed by another one. */
function turnOf(bytes: number): { readonly chunkSize: number } {
  return { chunkSize: Math.min(MAX_TURN_BYTES, Math.max(MIN_TURN_BYTES, bytes + 1)) }
}
