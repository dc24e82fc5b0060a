/**
 * Records, the form in which a b-tree holds rows:
 * https://sqlite.org/fileformat2.html#record_format. Pure.
 */
import { DamagedPage, readVarint } from './btreePage.ts'

/** Text in the encoding of its database, any bytes. */
export interface StoredText {
  readonly text: Buffer
}

/**
 * `bigint` is an INTEGER, `number` a REAL, a Buffer a BLOB. A REAL without fraction may be stored
 * as an INTEGER.
 */
export type StoredValue = null | bigint | number | StoredText | Buffer

/** SQLITE_MAX_COLUMN is 32767 at most (https://sqlite.org/limits.html). */
const MAX_VALUES = 32767

/** The values of a record; views into `record`. Throws DamagedPage. */
export function decodeRecord(record: Buffer, most = MAX_VALUES): StoredValue[] {
  const header = readVarint(record, 0, record.length)
  const headerEnd = Number(header.value)
  if (headerEnd > record.length)
    throw new DamagedPage('the header of a record is longer than the record')
  const values: StoredValue[] = []
  let at = headerEnd
  for (let next = header.next; next < headerEnd && values.length < most; ) {
    const type = readVarint(record, next, headerEnd)
    const serial = Number(type.value)
    const bytes = sizeOf(serial)
    if (at + bytes > record.length) throw new DamagedPage('a value ends past its record')
    values.push(storedValue(serial, record.subarray(at, at + bytes)))
    next = type.next
    at += bytes
  }
  return values
}

const SIZES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0]

/** Bytes of a value by its serial type; 10 and 11 are not used in a database file. */
function sizeOf(serial: number): number {
  if (serial >= 12) return Math.floor((serial - 12) / 2)
  const bytes = SIZES[serial]
  if (bytes === undefined) throw new DamagedPage(`serial type ${serial}`)
  return bytes
}

function storedValue(serial: number, bytes: Buffer): StoredValue {
  if (serial >= 12) return serial % 2 === 0 ? bytes : { text: bytes }
  if (serial === 0) return null
  if (serial === 7) return bytes.readDoubleBE(0)
  if (serial >= 8) return BigInt(serial - 8)
  return serial === 6 ? bytes.readBigInt64BE(0) : BigInt(bytes.readIntBE(0, bytes.length))
}
