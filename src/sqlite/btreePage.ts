/**
 * One page of a b-tree and its cells, parsed from the bytes:
 * https://sqlite.org/fileformat2.html#b_tree_pages.
 *
 * Pure. Bytes that the format does not allow throw DamagedPage, and nothing else is thrown. The
 * caller checks the numbers of other pages.
 */

/** A page or a record is not what the format allows. */
export class DamagedPage extends Error {
  override readonly name = 'DamagedPage'
}

export type BtreeKind = 'table' | 'index'

export interface BtreePage {
  readonly kind: BtreeKind
  readonly isLeaf: boolean
  readonly image: Buffer
  /** Bytes of the page that SQLite uses; the rest is reserved for extensions. */
  readonly usable: number
  readonly cells: number
  /** Offset of the cell pointers. */
  readonly pointersAt: number
  /** The last child of an interior page, 0 on a leaf. */
  readonly rightChild: number
}

export interface Cell {
  /** Signed 64-bit; 0 in an index. */
  readonly rowid: bigint
  /** Bytes of the whole record, local and overflow. */
  readonly payloadBytes: number
  /** The part of the record on the page itself. */
  readonly local: Buffer
  /** First page of the overflow chain, 0 for none. */
  readonly overflow: number
}

/** First page byte: https://sqlite.org/fileformat2.html#b_tree_pages, "The one-byte flag". */
const FLAGS: Readonly<Record<number, readonly [BtreeKind, boolean]>> = {
  2: ['index', false],
  5: ['table', false],
  10: ['index', true],
  13: ['table', true],
}
/** The database header on page 1. */
const HEADER_BYTES = 100

/** `image` is all of page `page`. */
export function parsePage(page: number, image: Buffer, usable: number): BtreePage {
  const at = page === 1 ? HEADER_BYTES : 0
  const flag = FLAGS[image[at]]
  if (!flag) throw new DamagedPage(`page ${page} is of no b-tree`)
  const [kind, isLeaf] = flag
  const cells = image.readUInt16BE(at + 3)
  const pointersAt = at + (isLeaf ? 8 : 12)
  if (pointersAt + 2 * cells > usable) throw new DamagedPage(`page ${page} has ${cells} cells`)
  const rightChild = isLeaf ? 0 : image.readUInt32BE(at + 8)
  return { kind, isLeaf, image, usable, cells, pointersAt, rightChild }
}

/** The children of an interior page, from left to right. */
export function childrenOf(page: BtreePage): number[] {
  const children: number[] = []
  for (let i = 0; i < page.cells; i++) children.push(page.image.readUInt32BE(cellStart(page, i, 4)))
  children.push(page.rightChild)
  return children
}

/**
 * The `i`-th cell, from 0, of a page whose cells hold records: all but interior pages of tables.
 */
export function cellAt(page: BtreePage, i: number): Cell {
  const { kind, isLeaf, image, usable } = page
  const start = cellStart(page, i, isLeaf ? 1 : 4)
  const size = readVarint(image, start + (isLeaf ? 0 : 4), usable)
  const payloadBytes = Number(size.value)
  const key =
    kind === 'table' ? readVarint(image, size.next, usable) : { value: 0n, next: size.next }
  const localBytes = localSize(payloadBytes, kind, usable)
  const end = key.next + localBytes
  const hasOverflow = localBytes < payloadBytes
  if (end + (hasOverflow ? 4 : 0) > usable) throw new DamagedPage('a cell ends past its page')
  return {
    rowid: BigInt.asIntN(64, key.value),
    payloadBytes,
    local: image.subarray(key.next, end),
    overflow: hasOverflow ? image.readUInt32BE(end) : 0,
  }
}

function cellStart({ image, usable, pointersAt }: BtreePage, i: number, bytes: number): number {
  const start = image.readUInt16BE(pointersAt + 2 * i)
  if (start < pointersAt || start + bytes > usable)
    throw new DamagedPage(`a cell begins at byte ${start}`)
  return start
}

/**
 * Bytes of a record that lie on the page itself:
 * https://sqlite.org/fileformat2.html#cell_payload_overflow_pages.
 */
function localSize(payloadBytes: number, kind: BtreeKind, usable: number): number {
  const most = kind === 'table' ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23
  if (payloadBytes <= most) return payloadBytes
  const least = Math.floor(((usable - 12) * 32) / 255) - 23
  const fitting = least + ((payloadBytes - least) % (usable - 4))
  return fitting <= most ? fitting : least
}

/**
 * A variable-length integer of 1 to 9 bytes, as 64 unsigned bits:
 * https://sqlite.org/fileformat2.html#varint.
 */
export function readVarint(
  bytes: Buffer,
  at: number,
  end: number,
): { readonly value: bigint; readonly next: number } {
  let small = 0
  for (let i = 0; i < 7; i++) {
    const byte = byteAt(bytes, at + i, end)
    small = small * 128 + (byte & 0x7f)
    if (byte < 0x80) return { value: BigInt(small), next: at + i + 1 }
  }
  const eighth = byteAt(bytes, at + 7, end)
  const value = (BigInt(small) << 7n) | BigInt(eighth & 0x7f)
  if (eighth < 0x80) return { value, next: at + 8 }
  return { value: (value << 8n) | BigInt(byteAt(bytes, at + 8, end)), next: at + 9 }
}

function byteAt(bytes: Buffer, at: number, end: number): number {
  if (at >= end) throw new DamagedPage('an integer ends past its page')
  return bytes[at]
}
