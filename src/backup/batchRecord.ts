/**
 * One message of a batch as the log keeps it: the message as replicas get it, behind a head that
 * says which position it leads to from which.
 */
import { xxh64 } from '../xxh64.ts'

/** Where a history stands, in a state that its checksum names. */
export interface Stand {
  readonly incarnation: string
  readonly epoch: number
  readonly txid: number
  /** State checksum, 16 hex digits. */
  readonly checksum: string
}

export interface BatchHead {
  readonly from: Stand
  /** The checksum is '' before the last message of the batch. */
  readonly to: Stand
  /** Whether the batch begins, and ends, with this message. */
  readonly isFirst: boolean
  readonly isLast: boolean
  /** When the leader noticed the commit, whole ms since 1970 in its clock. */
  readonly timeMs: number
  /** Length of the message; 0 in a mark of where a chain begins, at the state that it leads to. */
  readonly bytes: number
  /** `messageSum` of the message. */
  readonly sum: number
}

/** Magic, length, flags, sum and time; two stands of 32 bytes; a checksum. */
export const HEAD_BYTES = 96
const MAGIC = 0x32524357
const SUM_AT = 88
const LAST = 1
const FIRST = 2

export function encodeHead({ from, to, isFirst, isLast, timeMs, bytes, sum }: BatchHead): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head.writeUInt32LE(MAGIC, 0)
  head.writeUInt32LE(bytes, 4)
  head.writeUInt32LE((isFirst ? FIRST : 0) | (isLast ? LAST : 0), 8)
  head.writeUInt32LE(sum, 12)
  // A clock may stand before 1970.
  head.writeBigUInt64LE(BigInt(Math.max(0, timeMs)), 16)
  writeStand(head, from, 24)
  writeStand(head, to, 56)
  head.writeBigUInt64LE(xxh64(head.subarray(0, SUM_AT), 0n), SUM_AT)
  return head
}

/** Undefined when `head` is not whole: what a crash left of it. */
export function parseHead(head: Buffer): BatchHead | undefined {
  if (head.length < HEAD_BYTES || head.readUInt32LE(0) !== MAGIC) return undefined
  if (head.readBigUInt64LE(SUM_AT) !== xxh64(head.subarray(0, SUM_AT), 0n)) return undefined
  const flags = head.readUInt32LE(8)
  const isLast = (flags & LAST) !== 0
  const to = readStand(head, 56)
  return {
    bytes: head.readUInt32LE(4),
    sum: head.readUInt32LE(12),
    isFirst: (flags & FIRST) !== 0,
    isLast,
    timeMs: Number(head.readBigUInt64LE(16)),
    from: readStand(head, 24),
    to: isLast ? to : { ...to, checksum: '' },
  }
}

/** What a message is compared with when it is read again, 32 bits. */
export function messageSum(message: Uint8Array): number {
  return Number(BigInt.asUintN(32, xxh64(message, 0n)))
}

function writeStand(head: Buffer, { incarnation, epoch, txid, checksum }: Stand, at: number): void {
  head.writeBigUInt64LE(BigInt(epoch), at)
  head.writeBigUInt64LE(BigInt(txid), at + 8)
  head.write(incarnation, at + 16, 'hex')
  head.writeBigUInt64LE(checksum === '' ? 0n : BigInt(`0x${checksum}`), at + 24)
}

function readStand(head: Buffer, at: number): Stand {
  return {
    epoch: Number(head.readBigUInt64LE(at)),
    txid: Number(head.readBigUInt64LE(at + 8)),
    incarnation: head.toString('hex', at + 16, at + 24),
    checksum: head
      .readBigUInt64LE(at + 24)
      .toString(16)
      .padStart(16, '0'),
  }
}

/**
 * Whether two stands are one state: the same content at the same txid. A stand without a checksum
 * is told by its incarnation. With one it is not: a database that was put back together with its
 * node folder counts on from there in the same incarnation.
 */
export function isSameState(a: Stand, b: Stand): boolean {
  if (a.txid !== b.txid) return false
  if (a.checksum === '' || b.checksum === '') return a.incarnation === b.incarnation
  return a.checksum === b.checksum
}
