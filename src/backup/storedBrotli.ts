/**
 * Brotli streams that hold their bytes as they are: one uncompressed meta-block and an empty last
 * one (RFC 7932, 9.1 and 9.2). Every decoder of Brotli reads them. Here they are read by looking
 * at their ends, which costs nothing.
 */

/** WBITS 16, ISLAST 0, MNIBBLES, MLEN - 1 in so many nibbles, ISUNCOMPRESSED 1, and padding. */
interface Layout {
  readonly nibbles: number
  readonly headBytes: number
}

const SHORT: Layout = { nibbles: 4, headBytes: 3 }
const LONG: Layout = { nibbles: 5, headBytes: 4 }
const MAX_SHORT_BYTES = 1 << 16
/** What five nibbles count to. */
export const MAX_STORED_BYTES = 1 << 20
/** ISLAST 1, ISLASTEMPTY 1. */
const END = 3
/** Of what is around the bytes. */
const MNIBBLES_BIT = 2
const MLEN_BIT = 4

/** `raw`: 1 to MAX_STORED_BYTES. */
export function storeAsBrotli(raw: Uint8Array): Buffer {
  const layout = layoutOf(raw.length)
  const stream = Buffer.allocUnsafe(layout.headBytes + raw.length + 1)
  stream.writeUIntLE(headOf(layout, raw.length), 0, layout.headBytes)
  stream.set(raw, layout.headBytes)
  stream[stream.length - 1] = END
  return stream
}

/** The bytes in a stream of `storeAsBrotli`, in the same memory; undefined for any other stream. */
export function storedInBrotli(stream: Buffer): Buffer | undefined {
  for (const layout of [SHORT, LONG]) {
    const { headBytes } = layout
    const bytes = stream.length - headBytes - 1
    if (bytes < 1 || bytes > MAX_STORED_BYTES || layoutOf(bytes) !== layout) continue
    if (stream.readUIntLE(0, headBytes) !== headOf(layout, bytes)) continue
    if (stream[stream.length - 1] === END) return stream.subarray(headBytes, headBytes + bytes)
  }
  return undefined
}

function layoutOf(bytes: number): Layout {
  return bytes <= MAX_SHORT_BYTES ? SHORT : LONG
}

function headOf({ nibbles }: Layout, bytes: number): number {
  const isUncompressed = 1 << (MLEN_BIT + 4 * nibbles)
  return ((nibbles - 4) << MNIBBLES_BIT) | ((bytes - 1) << MLEN_BIT) | isUncompressed
}
