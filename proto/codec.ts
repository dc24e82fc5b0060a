/** Encoding and decoding of messages. Layout and limits: PROTOCOL.md. */
import { Packr } from 'msgpackr'
import { messageOf, WalcastError } from '../src/errors.ts'
import { checksumHex, xxh64 } from '../src/xxh64.ts'
import { BatchForm } from './batchBody.ts'
import type { Field } from './fields.ts'
import {
  GROUP_PAGES,
  HEADER_BYTES,
  MAX_BODY_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_PAGE_NUMBER,
  MAX_PAGES,
  MAX_PAYLOAD_BYTES,
  MAX_SUMS,
} from './limits.ts'
import { type Body, MESSAGES, type Message, type MessageType, TYPE_BY_CODE } from './messages.ts'

const MAGIC = 0x57434153
const VERSION = 1
const CHECKSUM_BYTES = 8
const FIELDS = Object.fromEntries(
  Object.entries(MESSAGES).map(([type, { fields }]) => [type, Object.entries(fields)]),
) as unknown as Readonly<Record<MessageType, readonly (readonly [string, Field<unknown>])[]>>
const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })

/**
 * Encodes a message whose payload is written in place by `fill` (exactly `payloadBytes` long).
 * `allocate` gives exactly as many bytes as it is asked for, which need not be zeroed.
 * Throws MESSAGE_TOO_LARGE past the limits: that is a bug of the caller.
 */
export function encode<T extends MessageType>(
  type: T,
  body: Body<T>,
  payloadBytes = 0,
  fill: (payload: Buffer) => void = () => {},
  allocate: (bytes: number) => Buffer = Buffer.allocUnsafeSlow,
): Buffer {
  const packed = (type === 'batch' && formFor(body as Body<'batch'>)) || packr.pack(body)
  if (packed.length > MAX_BODY_BYTES) throw tooLarge(packed.length, MAX_BODY_BYTES)
  if (payloadBytes > MAX_PAYLOAD_BYTES) throw tooLarge(payloadBytes, MAX_PAYLOAD_BYTES)
  const message = allocate(HEADER_BYTES + packed.length + payloadBytes)
  message.writeUInt32BE(MAGIC, 8)
  message[12] = VERSION
  message[13] = MESSAGES[type].code
  message.writeUInt16BE(0, 14)
  message.writeUInt32BE(packed.length, 16)
  message.writeUInt32BE(payloadBytes, 20)
  if (packed instanceof BatchForm) packed.write(message, HEADER_BYTES, body as Body<'batch'>)
  else message.set(packed, HEADER_BYTES)
  fill(message.subarray(HEADER_BYTES + packed.length))
  message.writeBigUInt64BE(xxh64(message.subarray(CHECKSUM_BYTES), 0n), 0)
  return message
}

/**
 * Decodes and checks one message. Throws MESSAGE_BAD, MESSAGE_TOO_LARGE or MESSAGE_CHECKSUM; never
 * anything else.
 */
export function decode(bytes: Buffer): Message {
  if (bytes.length > MAX_MESSAGE_BYTES) throw tooLarge(bytes.length, MAX_MESSAGE_BYTES)
  if (bytes.length < HEADER_BYTES) throw bad(`${bytes.length} bytes are less than a header`)
  if (bytes.readUInt32BE(8) !== MAGIC) throw bad('it does not begin as a walcast message')
  if (bytes[12] !== VERSION) throw bad(`version ${bytes[12]} is not spoken here`)
  const bodyBytes = bytes.readUInt32BE(16)
  const payloadBytes = bytes.readUInt32BE(20)
  if (bodyBytes > MAX_BODY_BYTES) throw tooLarge(bodyBytes, MAX_BODY_BYTES)
  if (payloadBytes > MAX_PAYLOAD_BYTES) throw tooLarge(payloadBytes, MAX_PAYLOAD_BYTES)
  if (HEADER_BYTES + bodyBytes + payloadBytes !== bytes.length)
    throw bad('its lengths do not add up')
  checkSum(bytes)
  const type = TYPE_BY_CODE.get(bytes[13])
  if (!type || bytes.readUInt16BE(14) !== 0) throw bad(`type ${bytes[13]} is unknown`)
  const formed =
    type === 'batch' && lastForm?.length === bodyBytes && lastForm.read(bytes, HEADER_BYTES)
  const body = formed || unpack(bytes.subarray(HEADER_BYTES, HEADER_BYTES + bodyBytes))
  const message = { type, body, payload: bytes.subarray(HEADER_BYTES + bodyBytes) } as Message
  checkFields(type, body)
  checkPayload(message)
  if (type === 'batch' && !formed) formOf(message.body.db)
  return message
}

/** The fixed form of a batch's body, if it can have one. */
function formFor(body: Body<'batch'>): BatchForm | undefined {
  const form = formOf(body.db)
  return form.fits(body) ? form : undefined
}

let lastForm: BatchForm | undefined

/** A process replicates one database: the form for its name is made once. */
function formOf(db: string): BatchForm {
  if (lastForm?.db !== db) lastForm = BatchForm.of(db)
  return lastForm
}

function checkSum(bytes: Buffer): void {
  const expected = bytes.readBigUInt64BE(0)
  const actual = xxh64(bytes.subarray(CHECKSUM_BYTES), 0n)
  if (actual !== expected) {
    throw new WalcastError('MESSAGE_CHECKSUM', {
      actual: checksumHex(actual),
      expected: checksumHex(expected),
    })
  }
}

function unpack(bytes: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = packr.unpack(bytes)
  } catch (error) {
    throw bad(`its body is not msgpack: ${messageOf(error)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad('its body is no map')
  return value as Record<string, unknown>
}

/** Unknown keys are ignored, so that a later minor version may add some. */
function checkFields(type: MessageType, body: Readonly<Record<string, unknown>>): void {
  for (const [key, field] of FIELDS[type]) {
    if (!Object.hasOwn(body, key) || !field.accepts(body[key]))
      throw bad(`${type}.${key} is not a ${field.describe}`)
  }
}

function checkPayload(message: Message): void {
  const { type, payload } = message
  switch (MESSAGES[type].payload) {
    case 'none':
      if (payload.length !== 0) throw bad(`${type} has no payload`)
      return
    case 'sums':
      return checkSums(message)
    case 'groups': {
      const { groups } = message.body as Body<'differ'>
      if (groups > MAX_SUMS || payload.length !== groups * 4)
        throw bad(`${type} does not hold ${groups} groups`)
      return
    }
    case 'pages': {
      const { pages, pageSize } = message.body as Body<'pages'>
      if (
        pages > MAX_PAGES ||
        pageSize === 0 ||
        payload.length !== pagesPayloadBytes(pages, pageSize)
      ) {
        throw bad(`${type} does not hold ${pages} pages`)
      }
      checkPageNumbers(type, payload, pages)
    }
  }
}

function checkSums(message: Message): void {
  const { sums } = message.body as Body<'have' | 'groups'>
  if (sums > MAX_SUMS || message.payload.length !== sums * 8 || !isInRange(message))
    throw bad(`${message.type} does not hold ${sums} sums`)
}

/** Whether the groups or pages of the sums can exist. */
function isInRange(message: Message): boolean {
  if (message.type === 'groups') {
    const { firstGroup, sums } = message.body
    return firstGroup + sums <= Math.ceil(MAX_PAGE_NUMBER / GROUP_PAGES)
  }
  const { firstPage, sums } = message.body as Body<'have'>
  return firstPage >= 1 && firstPage + sums - 1 <= MAX_PAGE_NUMBER
}

function checkPageNumbers(type: MessageType, payload: Buffer, pages: number): void {
  for (let i = 0; i < pages; i++) {
    const page = payload.readUInt32LE(4 * i)
    if (page === 0 || page > MAX_PAGE_NUMBER) throw bad(`${type} holds page ${page}`)
  }
}

/**
 * Bytes of a payload of `pages` pages: their numbers (4 bytes each, little-endian), then their
 * images.
 */
export function pagesPayloadBytes(pages: number, pageSize: number): number {
  return pages * (4 + pageSize)
}

/** Number of the `i`-th page (from 0) of a pages payload. */
export function payloadPageNumber(payload: Buffer, i: number): number {
  return payload.readUInt32LE(4 * i)
}

/** Image of the `i`-th page of a payload of `pages` pages. */
export function payloadPage(payload: Buffer, i: number, pages: number, pageSize: number): Buffer {
  const at = 4 * pages + i * pageSize
  return payload.subarray(at, at + pageSize)
}

function bad(detail: string): WalcastError {
  return new WalcastError('MESSAGE_BAD', { detail })
}

function tooLarge(bytes: number, limit: number): WalcastError {
  return new WalcastError('MESSAGE_TOO_LARGE', { bytes, limit })
}
