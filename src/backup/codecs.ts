/** How blocks and the index of an archive file are compressed. */
import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress, constants, deflateRaw, inflateRaw } from 'node:zlib'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'

export type Codec = ArchiveHeader['codec']

interface Coder {
  compress(raw: Buffer): Promise<Buffer>
  /** Rejects when it would give more than `maxBytes`. */
  decompress(stored: Buffer, maxBytes: number): Promise<Buffer>
}

const deflate = promisify(deflateRaw)
const inflate = promisify(inflateRaw)
const brotli = promisify(brotliCompress)
const unbrotli = promisify(brotliDecompress)

/** Pages are compressed beside a writer at full speed: the least level of each. */
const LEVEL = 1
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: LEVEL } }

export const CODECS: Readonly<Record<Codec, Coder>> = {
  none: {
    compress: async (raw) => raw,
    decompress: async (stored) => stored,
  },
  deflate: {
    compress: (raw) => deflate(raw, { level: LEVEL }),
    decompress: (stored, maxOutputLength) => inflate(stored, { maxOutputLength }),
  },
  brotli: {
    compress: (raw) => brotli(raw, BROTLI),
    decompress: (stored, maxOutputLength) => unbrotli(stored, { maxOutputLength }),
  },
}
