/**
 * The head of an archive file: what it holds and of which cluster, readable alone. ARCHIVE.md has
 * the format.
 */
import { xxh64 } from '../src/xxh64.ts'
import { type ArchiveSeal, isArchiveSeal } from './archiveSeal.ts'
import {
  type BodyOf,
  counted,
  incarnation,
  incarnationBefore,
  name,
  nodeId,
  oneOf,
  pageSize,
  time,
  whole,
} from './fields.ts'

/** The bytes after `walcast` tell a text editor, and who copied the file as text. */
export const ARCHIVE_MAGIC = Buffer.from('walcast\x1a', 'latin1')
export const ARCHIVE_VERSION = 1
export const MAX_ARCHIVE_HEADER_BYTES = 64 * 1024
/** Pages that are compressed together: at most as many, and at most MAX_BLOCK_BYTES of them. */
export const MAX_BLOCK_PAGES = 4096
export const MAX_BLOCK_BYTES = 1024 * 1024

/** Magic, version, and length of the JSON. */
const FIXED_BYTES = 16
const SUM_BYTES = 8

/**
 * `snapshot`: every page of one position. `changes`: what changed after `from`, with every position
 * in between that was captured.
 */
const FIELDS = {
  kind: oneOf('snapshot', 'changes'),
  cluster: name,
  db: name,
  incarnation,
  epoch: counted,
  pageSize,
  codec: oneOf('none', 'deflate', 'brotli'),
  blockPages: whole(MAX_BLOCK_PAGES),
  /** The position before the first; '' and 0 in a snapshot. */
  fromIncarnation: incarnationBefore,
  fromEpoch: counted,
  fromTxid: counted,
  createdMs: time,
  node: nodeId,
  writer: name,
}

/** What anyone who has the file can read, also when it is encrypted. */
export type ClearHeader = BodyOf<typeof FIELDS>

/** The same with what tells of the content, which the index keeps. */
export interface ArchiveHeader extends ClearHeader {
  /** State checksum of the position before the first, 16 hex digits; '' in a snapshot. */
  readonly fromChecksum: string
}

/** The header as it begins a file. `seal`: of an encrypted file. */
export function encodeArchiveHeader(header: ClearHeader, seal?: ArchiveSeal): Buffer {
  const json = Buffer.from(JSON.stringify({ ...fieldsOf(header), seal: seal ?? null }))
  const bytes = Buffer.alloc(FIXED_BYTES + json.length + SUM_BYTES)
  ARCHIVE_MAGIC.copy(bytes)
  bytes.writeUInt32LE(ARCHIVE_VERSION, 8)
  bytes.writeUInt32LE(json.length, 12)
  json.copy(bytes, FIXED_BYTES)
  const end = FIXED_BYTES + json.length
  bytes.writeBigUInt64LE(xxh64(bytes.subarray(0, end), 0n), end)
  return bytes
}

export interface ParsedHeader {
  readonly header: ClearHeader
  /** Undefined when the file is not encrypted. */
  readonly seal: ArchiveSeal | undefined
  /** Where the first block begins. */
  readonly bytes: number
  /** XXH64 of the header, which the trailer repeats. */
  readonly sum: bigint
}

/** A file of a later version of the format. */
export class NewerArchive extends Error {}

/**
 * `bytes`: the beginning of a file, long enough for any header. Throws an Error that says why, a
 * NewerArchive for a later format.
 */
export function parseArchiveHeader(bytes: Buffer): ParsedHeader {
  if (bytes.length < FIXED_BYTES || !bytes.subarray(0, 8).equals(ARCHIVE_MAGIC))
    throw new Error('it does not begin as an archive file does')
  const version = bytes.readUInt32LE(8)
  const known = `it has format ${version}, and this version reads format ${ARCHIVE_VERSION}`
  if (version > ARCHIVE_VERSION && hasSum(bytes)) throw new NewerArchive(known)
  if (version !== ARCHIVE_VERSION) throw new Error(known)
  const length = bytes.readUInt32LE(12)
  const end = FIXED_BYTES + length
  if (length > MAX_ARCHIVE_HEADER_BYTES || bytes.length < end + SUM_BYTES)
    throw new Error('its header is cut off')
  const sum = bytes.readBigUInt64LE(end)
  if (xxh64(bytes.subarray(0, end), 0n) !== sum)
    throw new Error('the checksum of its header is wrong')
  const value = objectIn(bytes.toString('utf8', FIXED_BYTES, end))
  return { header: headerIn(value), seal: sealIn(value), bytes: end + SUM_BYTES, sum }
}

/** Whether the checksum is where this version has it: a changed bit makes no newer format. */
function hasSum(bytes: Buffer): boolean {
  const end = FIXED_BYTES + bytes.readUInt32LE(12)
  return (
    bytes.length >= end + SUM_BYTES &&
    xxh64(bytes.subarray(0, end), 0n) === bytes.readBigUInt64LE(end)
  )
}

/** In the order of the table, so that equal headers have equal bytes. */
function fieldsOf(header: Readonly<Record<string, unknown>> | ClearHeader): ClearHeader {
  const keys = Object.keys(FIELDS) as (keyof typeof FIELDS)[]
  return Object.fromEntries(keys.map((key) => [key, header[key]])) as ClearHeader
}

/** What JSON.parse says would quote the file. */
function objectIn(json: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw new Error('its header is not JSON')
  }
  const fields = Object.keys(Object(value)).filter((key) => key !== 'seal')
  if (fields.length > Object.keys(FIELDS).length) throw new Error('its header has unknown fields')
  return Object(value)
}

function headerIn(value: Readonly<Record<string, unknown>>): ClearHeader {
  for (const [key, field] of Object.entries(FIELDS))
    if (!Object.hasOwn(value, key) || !field.accepts(value[key]))
      throw new Error(`${key} in its header is no ${field.describe}`)
  const header = fieldsOf(value)
  const { blockPages, pageSize: size } = header
  if (size === 0 || blockPages === 0 || blockPages * size > MAX_BLOCK_BYTES)
    throw new Error('its blocks are empty or too long')
  return header
}

function sealIn({ seal }: Readonly<Record<string, unknown>>): ArchiveSeal | undefined {
  if (seal === null) return undefined
  if (!isArchiveSeal(seal)) throw new Error('its header does not say how it is encrypted')
  return seal
}
