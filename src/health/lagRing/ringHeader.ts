/**
 * The head of a lag ring, in 512 bytes: which format it has, how its slots lie, and whose it is.
 * proto/LAGRING.md describes it. Pure.
 */
import { crc32 } from 'node:zlib'

export const HEADER_BYTES = 512
/** Of the format that this program writes. */
export const RING_VERSION = 1

export interface RingShape {
  /** How long a slot is, ms; the first one of a process, and the last one, may be shorter. */
  readonly slotMs: number
  readonly slotBytes: number
  readonly slots: number
}

export interface RingOwner {
  readonly node: string
  /** '' before the first copy. */
  readonly cluster: string
}

export interface RingHeader extends RingShape, RingOwner {}

const MAGIC = Buffer.from('WALCAST\x01LAGRING\x01', 'latin1')
const ID_BYTES = 128
const AT = {
  magic: 0,
  version: 16,
  slotBytes: 20,
  slots: 24,
  slotMs: 28,
  node: 32,
  cluster: 32 + ID_BYTES,
  sum: HEADER_BYTES - 4,
} as const

export function encodeHeader({ slotMs, slotBytes, slots, node, cluster }: RingHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(bytes, AT.magic)
  bytes.writeUInt32LE(RING_VERSION, AT.version)
  bytes.writeUInt32LE(slotBytes, AT.slotBytes)
  bytes.writeUInt32LE(slots, AT.slots)
  bytes.writeUInt32LE(slotMs, AT.slotMs)
  bytes.write(node.slice(0, ID_BYTES), AT.node, 'latin1')
  bytes.write(cluster.slice(0, ID_BYTES), AT.cluster, 'latin1')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, AT.sum)), AT.sum)
  return bytes
}

/** Why a ring cannot be gone on with, for a log line; or what it says. */
export function decodeHeader(bytes: Buffer): RingHeader | string {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    return 'it is no lag ring'
  const version = bytes.readUInt32LE(AT.version)
  if (version !== RING_VERSION) return `it has version ${version}, and this is ${RING_VERSION}`
  if (bytes.readUInt32LE(AT.sum) !== crc32(bytes.subarray(0, AT.sum))) return 'its head is damaged'
  return {
    slotBytes: bytes.readUInt32LE(AT.slotBytes),
    slots: bytes.readUInt32LE(AT.slots),
    slotMs: bytes.readUInt32LE(AT.slotMs),
    node: textAt(bytes, AT.node),
    cluster: textAt(bytes, AT.cluster),
  }
}

/** Why `found` is not the ring that `wanted` describes; undefined when it is. */
export function strangeness(found: RingHeader, wanted: RingHeader): string | undefined {
  if (found.node !== wanted.node) return 'it is of another node'
  // A node learns its cluster with its first copy.
  if (found.cluster !== '' && found.cluster !== wanted.cluster) return 'it is of another cluster'
  const keys = ['slotBytes', 'slots', 'slotMs'] as const
  return keys.some((key) => found[key] !== wanted[key]) ? 'its slots have other sizes' : undefined
}

function textAt(bytes: Buffer, at: number): string {
  const field = bytes.subarray(at, at + ID_BYTES)
  const end = field.indexOf(0)
  return field.toString('latin1', 0, end < 0 ? ID_BYTES : end)
}
