/**
 * A piece of a WAL, searched for the largest row id in it. See the file format, sections 1.6 and 4
 * of fileformat2.html.
 */

const WAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
const PAGE_BYTES = 4096
const TABLE_LEAF = 0x0d

/**
 * 0 when it holds no leaf of a table. `withHeader`: the piece begins with the header of the WAL.
 * Pages are of 4096 bytes.
 */
export function maxRowIdOfSegment(segment: Buffer, withHeader: boolean): number {
  let largest = 0
  const first = withHeader ? WAL_HEADER_BYTES : 0
  for (let at = first; at + FRAME_HEADER_BYTES + PAGE_BYTES <= segment.length; ) {
    const page = at + FRAME_HEADER_BYTES
    // Page 1 holds the schema, whose rows are not meant.
    if (segment.readUInt32BE(at) !== 1) largest = Math.max(largest, maxRowIdOfLeaf(segment, page))
    at = page + PAGE_BYTES
  }
  return largest
}

function maxRowIdOfLeaf(bytes: Buffer, page: number): number {
  if (bytes[page] !== TABLE_LEAF) return 0
  const cells = bytes.readUInt16BE(page + 3)
  if (cells === 0) return 0
  const cell = page + bytes.readUInt16BE(page + 8 + 2 * (cells - 1))
  const [, rowIdAt] = readVarint(bytes, cell)
  return readVarint(bytes, rowIdAt)[0]
}

/** The value and where the next one begins. Values are below 2^53 here. */
function readVarint(bytes: Buffer, from: number): readonly [number, number] {
  let value = 0
  for (let i = 0; i < 8; i++) {
    const byte = bytes[from + i]
    value = value * 128 + (byte & 0x7f)
    if (byte < 0x80) return [value, from + i + 1]
  }
  return [value * 256 + bytes[from + 8], from + 9]
}
