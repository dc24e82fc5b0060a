/**
 * Where a node stood after each of its last batches: a ring of fixed records, one positioned write
 * a batch, never synced on the hot path. What it says is a claim: the WAL or the state checksum
 * settles it at the next start.
 *
 * Layout (little-endian): an 80-byte header, then CAPACITY records of 80 bytes; record n (from 0)
 * of the file's life lies in slot n mod CAPACITY. Header: magic 8, boot id 16, clean stop 1, zeros.
 * Record: sequence 8, epoch 8, txid 8, state checksum 8, salt-1 4, salt-2 4, frame 4, WAL checksum
 * 4 + 4, pages 4, incarnation 8, change counter 4, schema cookie 4, XXH64 of the 72 bytes before it
 * 8. The incarnation is big-endian, as it is written.
 */

import type { FileOps } from '../platform/fileOps.ts'
import { closeSync, constants, fdatasyncSync, readFileSync, readSync } from '../platform/files.ts'
import { openPlain } from '../platform/plainFiles.ts'
import { xxh64 } from '../xxh64.ts'
import type { HeaderCounters } from './databaseHeader.ts'

export interface PositionRecord extends HeaderCounters {
  readonly epoch: number
  readonly txid: number
  /** The incarnation of the leader that committed it: 16 hex digits. */
  readonly incarnation: string
  /** State checksum after `txid`. */
  readonly checksum: bigint
  readonly salt1: number
  readonly salt2: number
  /** Last frame of `txid` in that WAL generation, 0 when the WAL had none. */
  readonly frame: number
  /** Cumulative WAL checksum at `frame`. */
  readonly s0: number
  readonly s1: number
  /** Size of the database in pages. */
  readonly pages: number
}

const MAGIC = 'WCPOS003'
const RECORD_BYTES = 80
/** Bytes of a record before its checksum. */
const CHECKED_BYTES = 72
const CAPACITY = 1024

/**
 * Identifies the running boot of this machine: after another boot, writes that were never synced
 * may be gone.
 */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim().replaceAll('-', '')
}

export class PositionLog {
  readonly path: string
  readonly #fd: number
  readonly #ops: FileOps
  readonly #boot: string
  /** Whether the header says that this boot writes: only then may it vouch for the records. */
  #isBegun = false
  readonly #record = Buffer.alloc(RECORD_BYTES)
  readonly #records: readonly PositionRecord[]
  #last: PositionRecord | undefined
  #sequence = 0
  /**
   * Whether the last writer stopped cleanly, or at least on this boot: its last record is then the
   * newest there was.
   */
  readonly trusted: boolean

  constructor(path: string, ops: FileOps, boot = bootId()) {
    this.path = path
    this.#ops = ops
    this.#boot = boot
    this.#fd = openPlain(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    const { content, got } = readWhole(this.#fd)
    // Room for all records is taken now, so that a full disk cannot stop a record later.
    if (got < content.length)
      ops.write('position.append', this.#fd, content.subarray(got), got, path)
    this.trusted = isTrusted(content, boot)
    const found = parse(content)
    this.#sequence = (found.at(-1)?.sequence ?? -1) + 1
    this.#records = found.map(({ position }) => position)
  }

  /** The records as the file has them now, oldest first: up to CAPACITY. Reads 80 KiB. */
  read(): readonly PositionRecord[] {
    return parse(readWhole(this.#fd).content).map(({ position }) => position)
  }

  /** The records found when the log was opened, oldest first. */
  get found(): readonly PositionRecord[] {
    return this.#records
  }

  /** The records found and the newest one written since, oldest first. */
  get known(): readonly PositionRecord[] {
    return this.#last ? [...this.#records, this.#last] : this.#records
  }

  /**
   * Throws DISK_FULL or WRITE_FAILED. The first record of a log also marks the log as this boot's.
   */
  append(position: PositionRecord): void {
    this.#begin()
    this.#last = position
    const record = this.#record
    record.writeBigUInt64LE(BigInt(this.#sequence), 0)
    record.writeBigUInt64LE(BigInt(position.epoch), 8)
    record.writeBigUInt64LE(BigInt(position.txid), 16)
    record.writeBigUInt64LE(position.checksum, 24)
    record.writeUInt32LE(position.salt1, 32)
    record.writeUInt32LE(position.salt2, 36)
    record.writeUInt32LE(position.frame, 40)
    record.writeUInt32LE(position.s0, 44)
    record.writeUInt32LE(position.s1, 48)
    record.writeUInt32LE(position.pages, 52)
    record.write(position.incarnation, 56, 8, 'hex')
    record.writeUInt32LE(position.changeCounter, 64)
    record.writeUInt32LE(position.schemaCookie, 68)
    record.writeBigUInt64LE(xxh64(record.subarray(0, CHECKED_BYTES), 0n), CHECKED_BYTES)
    this.#ops.write(
      'position.append',
      this.#fd,
      record,
      RECORD_BYTES * (1 + (this.#sequence % CAPACITY)),
      this.path,
    )
    this.#sequence++
  }

  /** Makes the records durable. */
  sync(): void {
    fdatasyncSync(this.#fd)
  }

  /** The descriptor of its file, for a sync together with others. */
  get fd(): number {
    return this.#fd
  }

  /**
   * Ends the log. `clean` says that nothing of the database itself was left unsynced. A log that
   * was not trusted and got no record stays as it was found: the next to open it must doubt it too.
   */
  close(clean: boolean): void {
    if (clean && (this.#isBegun || this.trusted)) this.#writeHeader(true)
    closeSync(this.#fd)
  }

  #begin(): void {
    if (this.#isBegun) return
    this.#writeHeader(false)
    this.#isBegun = true
  }

  #writeHeader(clean: boolean): void {
    const header = Buffer.alloc(RECORD_BYTES)
    header.write(MAGIC, 0, 'latin1')
    header.write(this.#boot, 8, 16, 'hex')
    header[24] = clean ? 1 : 0
    if (clean) fdatasyncSync(this.#fd)
    this.#ops.write('position.append', this.#fd, header, 0, this.path)
    fdatasyncSync(this.#fd)
  }
}

function readWhole(fd: number): { readonly content: Buffer; readonly got: number } {
  const content = Buffer.alloc(RECORD_BYTES * (1 + CAPACITY))
  return { content, got: readSync(fd, content, 0, content.length, 0) }
}

function parse(
  content: Buffer,
): { readonly sequence: number; readonly position: PositionRecord }[] {
  const found: { readonly sequence: number; readonly position: PositionRecord }[] = []
  for (let slot = 1; slot <= CAPACITY; slot++) {
    const record = content.subarray(slot * RECORD_BYTES, (slot + 1) * RECORD_BYTES)
    if (record.readBigUInt64LE(CHECKED_BYTES) !== xxh64(record.subarray(0, CHECKED_BYTES), 0n))
      continue
    found.push({ sequence: Number(record.readBigUInt64LE(0)), position: parseRecord(record) })
  }
  return found.sort((a, b) => a.sequence - b.sequence)
}

function isTrusted(content: Buffer, boot: string): boolean {
  if (content.toString('latin1', 0, 8) !== MAGIC) return false
  return content[24] === 1 || content.toString('hex', 8, 24) === boot
}

function parseRecord(record: Buffer): PositionRecord {
  return {
    epoch: Number(record.readBigUInt64LE(8)),
    txid: Number(record.readBigUInt64LE(16)),
    incarnation: record.toString('hex', 56, 64),
    checksum: record.readBigUInt64LE(24),
    salt1: record.readUInt32LE(32),
    salt2: record.readUInt32LE(36),
    frame: record.readUInt32LE(40),
    s0: record.readUInt32LE(44),
    s1: record.readUInt32LE(48),
    pages: record.readUInt32LE(52),
    changeCounter: record.readUInt32LE(64),
    schemaCookie: record.readUInt32LE(68),
  }
}
