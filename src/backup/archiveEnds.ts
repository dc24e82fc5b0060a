/**
 * The beginning and the end of an archive file, in one go: they say what it is and where the rest
 * lies, and each read may cost a question over a network.
 */
import { MAX_ARCHIVE_HEADER_BYTES } from '../../proto/archiveHeader.ts'

/** Holds a header with some ten recipients. */
const HEAD_BYTES = 4096
/** Holds the block table and the index of nearly any file but a snapshot. */
const TAIL_BYTES = 32 * 1024
/** Fixed part, JSON and checksum. */
const LENGTH_AT = 12
const AROUND_JSON_BYTES = 24

/** Where the bytes of a file come from. */
export interface ByteSource {
  /** Of the file, for people. */
  readonly name: string
  /** Length of the file. */
  readonly bytes: number
  /** Rejects when it gives fewer. */
  read(at: number, bytes: number): Promise<Buffer>
}

export interface ArchiveEnds {
  /** Long enough for the header of this file. */
  readonly head: Buffer
  /** Reads any part of the file. Head and tail come from memory. */
  read(at: number, bytes: number): Promise<Buffer>
}

/** Throws what the source throws. */
export async function readEnds(source: ByteSource): Promise<ArchiveEnds> {
  const { bytes: length } = source
  const isSmall = length <= HEAD_BYTES + TAIL_BYTES
  const tailAt = isSmall ? 0 : length - TAIL_BYTES
  const reading = source.read(tailAt, length - tailAt)
  const [tail, begun] = await Promise.all([reading, isSmall ? reading : source.read(0, HEAD_BYTES)])
  const wanted = Math.min(headBytesOf(begun), length)
  return {
    head: begun.length < wanted ? await source.read(0, wanted) : begun,
    async read(at, bytes) {
      if (at < tailAt) return source.read(at, bytes)
      // A copy: what holds on to it would hold on to all of the end.
      return Buffer.from(tail.subarray(at - tailAt, at - tailAt + bytes))
    },
  }
}

/** What the header says of its length, within its bounds. */
function headBytesOf(begun: Buffer): number {
  if (begun.length < LENGTH_AT + 4) return begun.length
  return AROUND_JSON_BYTES + Math.min(begun.readUInt32LE(LENGTH_AT), MAX_ARCHIVE_HEADER_BYTES)
}
