/**
 * The codec against golden vectors, a second implementation of its parts, and everything that is
 * not a message.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decode,
  encode,
  pagesPayloadBytes,
  payloadPage,
  payloadPageNumber,
} from '../../proto/codec.ts'
import * as fields from '../../proto/fields.ts'
import * as limits from '../../proto/limits.ts'
import { type Body, MESSAGES, type Message, type MessageType } from '../../proto/messages.ts'
import { formatPosition, parsePosition } from '../../proto/position.ts'
import { keyOf } from '../../src/errors.ts'
import { isPlain } from '../../src/plainText.ts'
import { xxh64 } from '../../src/xxh64.ts'
import { VECTORS, type Vector } from './vectors.ts'

const TYPES = Object.keys(MESSAGES) as MessageType[]
const REFUSALS = new Set(['MESSAGE_BAD', 'MESSAGE_TOO_LARGE', 'MESSAGE_CHECKSUM'])
const PROTOCOL = readFileSync(new URL('../../../proto/PROTOCOL.md', import.meta.url), 'utf8')

function refusalOf(bytes: Buffer): string {
  try {
    decode(bytes)
  } catch (error) {
    const key = keyOf(error)
    assert.ok(key && REFUSALS.has(key), `not a refusal: ${String(error)}`)
    return key
  }
  return 'accepted'
}

/** A good message after whatever was refused: the decoder keeps nothing of it. */
function assertStillWorks(): void {
  const [sample] = VECTORS
  assert.deepEqual({ ...decode(sample.bytes).body }, sample.body)
}

/** XXH64 as its specification words it, on big integers. */
function xxh64Slow(bytes: Buffer, seed: bigint): bigint {
  const [p1, p2, p3, p4, p5] = [
    0x9e3779b185ebca87n,
    0xc2b2ae3d27d4eb4fn,
    0x165667b19e3779f9n,
    0x85ebca77c2b2ae63n,
    0x27d4eb2f165667c5n,
  ]
  const u64 = (x: bigint) => BigInt.asUintN(64, x)
  const rotl = (x: bigint, by: bigint) => u64((x << by) | (x >> (64n - by)))
  const round = (acc: bigint, lane: bigint) => u64(rotl(u64(acc + lane * p2), 31n) * p1)
  let at = 0
  let acc = u64(seed + p5)
  if (bytes.length >= 32) {
    const lanes = [u64(seed + p1 + p2), u64(seed + p2), seed, u64(seed - p1)]
    for (; at + 32 <= bytes.length; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i], bytes.readBigUInt64LE(at + 8 * i))
    }
    acc = u64(rotl(lanes[0], 1n) + rotl(lanes[1], 7n) + rotl(lanes[2], 12n) + rotl(lanes[3], 18n))
    for (const lane of lanes) acc = u64((acc ^ round(0n, lane)) * p1 + p4)
  }
  acc = u64(acc + BigInt(bytes.length))
  for (; at + 8 <= bytes.length; at += 8)
    acc = u64(rotl(acc ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * p1 + p4)
  for (; at + 4 <= bytes.length; at += 4)
    acc = u64(rotl(acc ^ u64(BigInt(bytes.readUInt32LE(at)) * p1), 23n) * p2 + p3)
  for (; at < bytes.length; at++) acc = u64(rotl(acc ^ u64(BigInt(bytes[at]) * p5), 11n) * p1)
  acc = u64((acc ^ (acc >> 33n)) * p2)
  acc = u64((acc ^ (acc >> 29n)) * p3)
  return acc ^ (acc >> 32n)
}

/**
 * msgpack of the values that bodies hold, from its specification. `floats`: whole numbers as
 * float64 too.
 */
function pack(value: unknown, floats = false): Buffer {
  const head = (tag: number, write: (bytes: Buffer) => void, size: number) => {
    const bytes = Buffer.alloc(1 + size)
    bytes[0] = tag
    write(bytes)
    return bytes
  }
  if (value === null) return Buffer.of(0xc0)
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2)
  if (typeof value === 'string') {
    const text = Buffer.from(value)
    const prefix =
      text.length < 32
        ? Buffer.of(0xa0 | text.length)
        : text.length < 256
          ? Buffer.of(0xd9, text.length)
          : head(0xda, (bytes) => bytes.writeUInt16BE(text.length, 1), 2)
    return Buffer.concat([prefix, text])
  }
  if (typeof value === 'number') {
    if (floats || !Number.isInteger(value) || value < 0 || value > 0xffffffff)
      return head(0xcb, (bytes) => bytes.writeDoubleBE(value, 1), 8)
    if (value < 128) return Buffer.of(value)
    if (value < 256) return Buffer.of(0xcc, value)
    if (value < 65536) return head(0xcd, (bytes) => bytes.writeUInt16BE(value, 1), 2)
    return head(0xce, (bytes) => bytes.writeUInt32BE(value, 1), 4)
  }
  if (Array.isArray(value))
    return Buffer.concat([Buffer.of(0x90 | value.length), ...value.map((each) => pack(each))])
  const entries = Object.entries(Object(value))
  const prefix =
    entries.length < 16
      ? Buffer.of(0x80 | entries.length)
      : head(0xde, (bytes) => bytes.writeUInt16BE(entries.length, 1), 2)
  return Buffer.concat([prefix, ...entries.flatMap(([key, of]) => [pack(key), pack(of, floats)])])
}

interface Header {
  readonly magic?: number
  readonly version?: number
  readonly code: number
  readonly reserved?: number
  readonly bodyBytes?: number
  readonly payloadBytes?: number
}

/** A message with a right checksum, whatever else is wrong with it. */
function seal(header: Header, body: Buffer, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(24), body, payload])
  bytes.writeUInt32BE(header.magic ?? 0x57434153, 8)
  bytes[12] = header.version ?? 1
  bytes[13] = header.code
  bytes.writeUInt16BE(header.reserved ?? 0, 14)
  bytes.writeUInt32BE(header.bodyBytes ?? body.length, 16)
  bytes.writeUInt32BE(header.payloadBytes ?? payload.length, 20)
  bytes.writeBigUInt64BE(xxh64(bytes.subarray(8), 0n), 0)
  return bytes
}

function resealed(
  vector: Vector,
  changes: Record<string, unknown>,
  payload: Buffer = vector.payload,
): Buffer {
  const body: Record<string, unknown> = { ...vector.body, ...changes }
  const floats = vector.type === 'batch' && body['checksum'] !== ''
  return seal({ code: MESSAGES[vector.type].code }, pack(body, floats), payload)
}

function firstVector(type: MessageType): Vector {
  const found = VECTORS.find((vector) => vector.type === type)
  assert.ok(found, `no vector for ${type}`)
  return found
}

test('XXH64 is the published algorithm', () => {
  assert.equal(xxh64(Buffer.alloc(0), 0n), 0xef46db3751d8e999n)
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (bytes, seed) => {
        assert.equal(xxh64(bytes, seed), xxh64Slow(Buffer.from(bytes), seed))
      },
    ),
    { numRuns: 200 },
  )
})

test('golden vectors cover every message', () => {
  assert.deepEqual([...new Set(VECTORS.map((vector) => vector.type))].sort(), [...TYPES].sort())
  const codes = TYPES.map((type) => MESSAGES[type].code)
  assert.equal(new Set(codes).size, codes.length)
})

for (const vector of VECTORS) {
  test(`golden vector: ${vector.name}`, () => {
    const { type, body, payload, bytes } = vector
    const encoded = encode(type, body as Body<typeof type>, payload.length, (target) =>
      target.set(payload),
    )
    assert.equal(encoded.toString('hex'), bytes.toString('hex'))
    const decoded = decode(bytes)
    assert.equal(decoded.type, type)
    assert.deepEqual({ ...decoded.body }, body)
    assert.ok(decoded.payload.equals(payload))
    assert.equal(
      resealed(vector, {}).toString('hex'),
      bytes.toString('hex'),
      'a second encoder agrees',
    )
    assert.equal(bytes.readBigUInt64BE(0), xxh64Slow(bytes.subarray(8), 0n))
  })
}

test('a batch is the same message whichever way its numbers are packed', () => {
  const { body, payload, bytes } = firstVector('batch')
  const integers = seal({ code: MESSAGES.batch.code }, pack(body), payload)
  assert.notEqual(integers.length, bytes.length)
  assert.deepEqual({ ...decode(integers).body }, body)
  const shuffled = Object.fromEntries(Object.entries(body).reverse())
  const sameLength = seal({ code: MESSAGES.batch.code }, pack(shuffled, true), payload)
  assert.equal(sameLength.length, bytes.length)
  assert.deepEqual({ ...decode(sameLength).body }, body)
})

test('a body as long as the last one and not the same is read for what it says', () => {
  const { body, payload } = firstVector('batch')
  const of = (changes: Record<string, unknown>) => pack({ ...body, ...changes }, true)
  decode(seal({ code: MESSAGES.batch.code }, of({}), payload))
  const other = seal({ code: MESSAGES.batch.code }, of({ db: 'apq' }), payload)
  assert.equal((decode(other).body as Body<'batch'>).db, 'apq')
  decode(seal({ code: MESSAGES.batch.code }, of({}), payload))
  const renamed = Buffer.from(of({}).toString('latin1').replace('epoch', 'epocH'), 'latin1')
  assert.throws(() => decode(seal({ code: MESSAGES.batch.code }, renamed, payload)), /batch\.epoch/)
  const marked = of({})
  marked[marked.indexOf('epoch') + 5] = 0xcf
  assert.throws(() => decode(seal({ code: MESSAGES.batch.code }, marked, payload)), /batch\.epoch/)
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, 2 ** 60])
    assert.throws(
      () => decode(seal({ code: MESSAGES.batch.code }, of({ txid: wrong }), payload)),
      /batch\.txid/,
    )
})

test('batches of databases with names of every length, one after the other', () => {
  const { body, payload } = firstVector('batch')
  for (const db of [
    'a',
    'b',
    'n'.repeat(31),
    'n'.repeat(32),
    '\u00fc'.repeat(128),
    '\u{1f600}'.repeat(64),
    'a',
  ]) {
    const of = { ...body, db } as unknown as Body<'batch'>
    const encoded = encode('batch', of, payload.length, (target) => target.set(payload))
    assert.equal(
      encoded.toString('hex'),
      seal({ code: MESSAGES.batch.code }, pack(of, true), payload).toString('hex'),
    )
    assert.deepEqual({ ...decode(encoded).body }, of)
  }
})

const hexId = fc
  .bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map((id) => id.toString(16).padStart(16, '0'))

const toCounted = (value: number) => value % (limits.MAX_COUNTED + 1)

const arbitraryOf = new Map<fields.Field<unknown>, fc.Arbitrary<unknown>>([
  [
    fields.name,
    fc
      .string({ maxLength: limits.MAX_NAME_CHARS / 2, unit: 'grapheme' })
      .filter((text) => text.length <= limits.MAX_NAME_CHARS && isPlain(text)),
  ],
  [
    fields.prose,
    fc
      .string({ maxLength: 300, unit: 'grapheme' })
      .filter((text) => text.length <= limits.MAX_TEXT_CHARS),
  ],
  [fields.nodeId, fc.stringMatching(/^[\w.-]{0,128}$/)],
  [fields.address, fc.constantFrom('', '10.0.0.1:8470', '[::1]:1', 'node-b.example:65535')],
  [
    fields.counted,
    fc.oneof(fc.nat(300), fc.maxSafeNat().map(toCounted), fc.constant(limits.MAX_COUNTED)),
  ],
  [fields.count, fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.constant(Number.MAX_SAFE_INTEGER))],
  [fields.pageNumber, fc.oneof(fc.nat(100_000), fc.constant(limits.MAX_PAGE_NUMBER))],
  [fields.flag, fc.boolean()],
  [
    fields.time,
    fc
      .double({ noNaN: true, min: -limits.MAX_TIME_MS, max: limits.MAX_TIME_MS })
      .map((value) => value + 0),
  ],
  [
    fields.duration,
    fc.double({ noNaN: true, min: 0, max: limits.MAX_DURATION_MS }).map((value) => value + 0),
  ],
  [fields.fileMode, fc.nat(0o777)],
  [fields.pageSize, fc.constantFrom(0, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)],
  [fields.checksum, fc.oneof(fc.constant(''), hexId)],
  [fields.incarnation, hexId],
  [fields.incarnationBefore, fc.oneof(fc.constant(''), hexId)],
  [
    fields.trail,
    fc
      .array(fc.tuple(hexId, fc.nat(999_999_999_999_999)), { maxLength: 24 })
      .map((points) => points.map(([id, txid]) => `${id}@${txid}`).join(' ')),
  ],
  [MESSAGES.welcome.fields.contains, fc.constantFrom('proven', 'likely', 'unknown')],
])

function bodyArbitrary(type: MessageType): fc.Arbitrary<Record<string, unknown>> {
  const mode = fc.constantFrom('resume', 'sync')
  return fc.record(
    Object.fromEntries(
      Object.entries(MESSAGES[type].fields).map(([key, field]) => [
        key,
        arbitraryOf.get(field) ?? mode,
      ]),
    ),
    { noNullPrototype: true },
  )
}

function messageArbitrary(
  type: MessageType,
): fc.Arbitrary<{ body: Record<string, unknown>; payload: Buffer }> {
  const body = bodyArbitrary(type)
  switch (MESSAGES[type].payload) {
    case 'none':
      return body.map((of) => ({ body: of, payload: Buffer.alloc(0) }))
    case 'sums':
      return fc
        .record({
          body,
          sums: fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 40 }),
          first: fc.integer({ min: 1, max: 1e9 }),
        })
        .map(({ body: of, sums, first }) => ({
          body: {
            ...of,
            ...(type === 'have' ? { firstPage: first } : { firstGroup: first % 1e7 }),
            sums: sums.length,
          },
          payload: Buffer.concat(sums),
        }))
    case 'groups':
      return fc
        .record({
          body,
          groups: fc.array(fc.uint8Array({ minLength: 4, maxLength: 4 }), { maxLength: 40 }),
        })
        .map(({ body: of, groups }) => ({
          body: { ...of, groups: groups.length },
          payload: Buffer.concat(groups),
        }))
    case 'pages':
      return fc
        .record({
          body,
          pageSize: fc.constantFrom(512, 1024, 65536),
          pages: fc.array(
            fc.record({
              page: fc.integer({ min: 1, max: limits.MAX_PAGE_NUMBER }),
              fill: fc.nat(255),
            }),
            { maxLength: 5 },
          ),
        })
        .map(({ body: of, pageSize, pages }) => ({
          body: { ...of, pageSize, pages: pages.length },
          payload: Buffer.concat([
            ...pages.map(({ page }) => Buffer.from(Uint32Array.of(page).buffer)),
            ...pages.map(({ fill }) => Buffer.alloc(pageSize, fill)),
          ]),
        }))
  }
}

for (const type of TYPES) {
  test(`round trip: ${type}`, () => {
    fc.assert(
      fc.property(messageArbitrary(type), ({ body, payload }) => {
        const bytes = encode(type, body as Body<typeof type>, payload.length, (target) =>
          target.set(payload),
        )
        const decoded: Message = decode(bytes)
        assert.equal(decoded.type, type)
        assert.deepEqual({ ...decoded.body }, body)
        assert.ok(decoded.payload.equals(payload))
      }),
      { numRuns: 60 },
    )
  })
}

test('pages of a payload are found by their place', () => {
  const { bytes, body } = VECTORS.find((vector) => vector.name === 'batch, whole') ?? VECTORS[0]
  const { payload } = decode(bytes)
  const [pages, pageSize] = [Number(body['pages']), Number(body['pageSize'])]
  assert.equal(payload.length, pagesPayloadBytes(pages, pageSize))
  assert.deepEqual(
    [0, 1].map((i) => payloadPageNumber(payload, i)),
    [1, 7],
  )
  assert.ok(payloadPage(payload, 0, pages, pageSize).equals(Buffer.alloc(512, 0xa1)))
  assert.ok(payloadPage(payload, 1, pages, pageSize).equals(Buffer.alloc(512, 0xb2)))
})

test('every truncation and every byte too many is refused', () => {
  for (const { bytes } of VECTORS) {
    for (let length = 0; length < bytes.length; length++)
      assert.equal(
        refusalOf(bytes.subarray(0, length)),
        'MESSAGE_BAD',
        `${length} of ${bytes.length} bytes`,
      )
    assert.equal(refusalOf(Buffer.concat([bytes, Buffer.of(0)])), 'MESSAGE_BAD')
  }
  assertStillWorks()
})

test('every single-bit flip is refused', () => {
  for (const type of TYPES) {
    const bytes = Buffer.from(firstVector(type).bytes)
    const seen = new Set<string>()
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >>> 3] ^= 1 << (bit & 7)
      const refusal = refusalOf(bytes)
      assert.notEqual(refusal, 'accepted', `bit ${bit} of ${type}`)
      const isChecked = bit < 64 || bit >= 24 * 8 || (bit >= 13 * 8 && bit < 16 * 8)
      if (isChecked) assert.equal(refusal, 'MESSAGE_CHECKSUM', `bit ${bit} of ${type}`)
      seen.add(refusal)
      bytes[bit >>> 3] ^= 1 << (bit & 7)
    }
    assert.deepEqual(seen, REFUSALS)
  }
  assertStillWorks()
})

test('header fields that are wrong under a right checksum are refused', () => {
  const body = pack(firstVector('ping').body)
  const code = MESSAGES.ping.code
  assert.equal(refusalOf(seal({ code }, body)), 'accepted')
  for (const magic of [0, 0x57434154, 0x53414357])
    assert.equal(refusalOf(seal({ code, magic }, body)), 'MESSAGE_BAD')
  for (let version = 0; version < 256; version++)
    assert.equal(
      refusalOf(seal({ code, version }, body)),
      limits.PROTOCOL_VERSIONS.some((spoken) => spoken === version) ? 'accepted' : 'MESSAGE_BAD',
    )
  for (let other = 0; other < 256; other++) {
    if (other !== code)
      assert.equal(refusalOf(seal({ code: other }, body)), 'MESSAGE_BAD', `code ${other}`)
  }
  for (const reserved of [1, 256, 65535])
    assert.equal(refusalOf(seal({ code, reserved }, body)), 'MESSAGE_BAD')
})

test('lengths over the limits are refused before anything is read', () => {
  const body = pack(firstVector('ping').body)
  const code = MESSAGES.ping.code
  const over = (bodyBytes: number, payloadBytes: number) =>
    refusalOf(seal({ code, bodyBytes, payloadBytes }, body))
  assert.equal(over(limits.MAX_BODY_BYTES + 1, 0), 'MESSAGE_TOO_LARGE')
  assert.equal(over(0xffffffff, 0), 'MESSAGE_TOO_LARGE')
  assert.equal(over(body.length, limits.MAX_PAYLOAD_BYTES + 1), 'MESSAGE_TOO_LARGE')
  assert.equal(over(body.length, 0xffffffff), 'MESSAGE_TOO_LARGE')
  assert.equal(over(body.length + 1, 0), 'MESSAGE_BAD')
  assert.equal(over(body.length - 1, 0), 'MESSAGE_BAD')
  assert.equal(over(body.length, 1), 'MESSAGE_BAD')
  assert.equal(refusalOf(Buffer.alloc(limits.MAX_MESSAGE_BYTES + 1)), 'MESSAGE_TOO_LARGE')
  assert.equal(refusalOf(Buffer.alloc(limits.MAX_MESSAGE_BYTES)), 'MESSAGE_BAD')
})

test('the encoder refuses what no receiver would take', () => {
  const { body } = firstVector('error')
  const tooLong = { ...body, message: 'x'.repeat(limits.MAX_BODY_BYTES) } as Body<'error'>
  assert.throws(() => encode('error', tooLong), { code: 'WALCAST_MESSAGE_TOO_LARGE' })
  assert.throws(
    () => encode('have', firstVector('have').body as Body<'have'>, limits.MAX_PAYLOAD_BYTES + 1),
    {
      code: 'WALCAST_MESSAGE_TOO_LARGE',
    },
  )
})

test('a body fills its limit to the byte and unknown keys are ignored', () => {
  const { body } = firstVector('ping')
  const bare = pack({ ...body, later: 'x'.repeat(1000) }).length - 1000
  const filled = (bytes: number) => pack({ ...body, later: 'x'.repeat(bytes - bare) })
  const code = MESSAGES.ping.code
  assert.equal(filled(limits.MAX_BODY_BYTES).length, limits.MAX_BODY_BYTES)
  assert.equal(refusalOf(seal({ code }, filled(limits.MAX_BODY_BYTES))), 'accepted')
  assert.equal(refusalOf(seal({ code }, filled(limits.MAX_BODY_BYTES + 1))), 'MESSAGE_TOO_LARGE')
})

test('text and numbers fill their limits and not one more', () => {
  const error = firstVector('error')
  assert.equal(
    refusalOf(resealed(error, { message: 'x'.repeat(limits.MAX_TEXT_CHARS) })),
    'accepted',
  )
  assert.equal(
    refusalOf(resealed(error, { message: 'x'.repeat(limits.MAX_TEXT_CHARS + 1) })),
    'MESSAGE_BAD',
  )
  assert.equal(refusalOf(resealed(error, { code: 'x'.repeat(limits.MAX_NAME_CHARS) })), 'accepted')
  assert.equal(
    refusalOf(resealed(error, { code: 'x'.repeat(limits.MAX_NAME_CHARS + 1) })),
    'MESSAGE_BAD',
  )
  const resync = firstVector('resync')
  assert.equal(refusalOf(resealed(resync, { pages: limits.MAX_PAGE_NUMBER })), 'accepted')
  assert.equal(refusalOf(resealed(resync, { pages: limits.MAX_PAGE_NUMBER + 1 })), 'MESSAGE_BAD')
})

const WRONG = new Map<fields.Field<unknown>, readonly unknown[]>([
  [
    fields.name,
    [
      1,
      null,
      true,
      ['x'],
      { x: 1 },
      'x'.repeat(limits.MAX_NAME_CHARS + 1),
      'a\n',
      '\u001b[31m',
      '\u0085',
      'right\u202eleft',
      'zero\u200bwidth',
      'line\u2028line',
    ],
  ],
  [
    fields.nodeId,
    [1, null, ['x'], 'a b', 'a/b', 'é', 'a\n', '\u001b[31m', 'a\u202e', 'x'.repeat(129), '<b>'],
  ],
  [
    fields.address,
    [1, null, 'a', ':1', 'a:', 'a:65536', 'a:1/x', 'u@a:1', 'http://a:1', 'a\u202e:1', ' a:1'],
  ],
  [
    fields.counted,
    [-1, 1.5, limits.MAX_COUNTED + 1, 2 ** 53 - 1, 2 ** 53, Number.NaN, 1e300, '1', null, true],
  ],
  [fields.prose, [1, null, false, ['x'], 'x'.repeat(limits.MAX_TEXT_CHARS + 1)]],
  [fields.count, [-1, 1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1', null, true, [1]]],
  [fields.pageNumber, [-1, 0.5, limits.MAX_PAGE_NUMBER + 1, Number.NaN, '1', null, true]],
  [fields.flag, [0, 1, 'true', null, []]],
  [fields.fileMode, [-1, 0.5, 0o1000, 0o100600, Number.NaN, '0600', null, true]],
  [
    fields.time,
    [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e16, -1e300, '1', null],
  ],
  [fields.duration, [Number.NaN, Number.POSITIVE_INFINITY, -1, 1e13, 1e300, '1', null, true]],
  [fields.pageSize, [1, 256, 511, 513, 768, 1.5, -512, 65537, 131072, Number.NaN, '4096', null]],
  [
    fields.checksum,
    [0, '0', '0123456789ABCDEF', '0123456789abcdeg', '00123456789abcdef', ' 123456789abcdef', null],
  ],
  [
    fields.incarnation,
    [
      0,
      '',
      '0',
      '0123456789ABCDEF',
      '0123456789abcdeg',
      '00123456789abcdef',
      '0123456789abcdef\n',
      null,
    ],
  ],
  [
    fields.incarnationBefore,
    [0, '0', 'none', '0123456789ABCDEF', '00123456789abcdef', ' 123456789abcdef', null],
  ],
  [
    fields.trail,
    [
      0,
      null,
      true,
      ['0123456789abcdef@1'],
      ' ',
      '0123456789abcdef',
      '0123456789abcdef@',
      '@1',
      '0123456789ABCDEF@1',
      '0123456789abcdef@-1',
      '0123456789abcdef@1.5',
      `0123456789abcdef@${'9'.repeat(16)}`,
      '0123456789abcdef@1 ',
      '0123456789abcdef@1  0123456789abcdef@0',
      '0123456789abcdef@1\n',
      Array(25).fill('0123456789abcdef@1').join(' '),
    ],
  ],
])

test('a field of a wrong type or without its key is refused', () => {
  for (const vector of VECTORS) {
    for (const [key, field] of Object.entries(MESSAGES[vector.type].fields)) {
      const { [key]: _, ...rest } = vector.body
      const without = seal({ code: MESSAGES[vector.type].code }, pack(rest), vector.payload)
      assert.equal(refusalOf(without), 'MESSAGE_BAD', `${vector.type} without ${key}`)
      for (const value of WRONG.get(field) ?? ['', 'other', 'Resume', 1, null])
        assert.equal(
          refusalOf(resealed(vector, { [key]: value })),
          'MESSAGE_BAD',
          `${vector.type}.${key} ${value}`,
        )
    }
  }
})

test('a payload that does not match its counts is refused', () => {
  const batch = firstVector('batch')
  const have = firstVector('have')
  for (const type of TYPES) {
    if (MESSAGES[type].payload !== 'none') continue
    assert.equal(refusalOf(resealed(firstVector(type), {}, Buffer.of(0))), 'MESSAGE_BAD', type)
  }
  for (const pages of [0, 1, 3, limits.MAX_PAGES + 1, Number.MAX_SAFE_INTEGER])
    assert.equal(refusalOf(resealed(batch, { pages })), 'MESSAGE_BAD', `${pages} pages`)
  for (const pageSize of [0, 1024])
    assert.equal(refusalOf(resealed(batch, { pageSize })), 'MESSAGE_BAD')
  assert.equal(refusalOf(resealed(batch, {}, batch.payload.subarray(1))), 'MESSAGE_BAD')
  for (const sums of [0, 1, 3, limits.MAX_SUMS + 1, Number.MAX_SAFE_INTEGER])
    assert.equal(refusalOf(resealed(have, { sums })), 'MESSAGE_BAD', `${sums} sums`)
  assert.equal(refusalOf(resealed(have, { firstPage: 0 })), 'MESSAGE_BAD')
  assert.equal(refusalOf(resealed(have, { firstPage: limits.MAX_PAGE_NUMBER })), 'MESSAGE_BAD')
  assert.equal(refusalOf(resealed(have, { firstPage: limits.MAX_PAGE_NUMBER - 1 })), 'accepted')
  const groups = firstVector('groups')
  const allGroups = Math.ceil(limits.MAX_PAGE_NUMBER / limits.GROUP_PAGES)
  for (const sums of [0, 1, 3, limits.MAX_SUMS + 1])
    assert.equal(refusalOf(resealed(groups, { sums })), 'MESSAGE_BAD', `${sums} sums`)
  assert.equal(refusalOf(resealed(groups, { firstGroup: allGroups - 1 })), 'MESSAGE_BAD')
  assert.equal(refusalOf(resealed(groups, { firstGroup: allGroups - 2 })), 'accepted')
  const differ = firstVector('differ')
  for (const count of [0, 1, 3, limits.MAX_SUMS + 1])
    assert.equal(refusalOf(resealed(differ, { groups: count })), 'MESSAGE_BAD', `${count} groups`)
})

test('a page size of 0 is refused even where there is no page', () => {
  const synced =
    VECTORS.find((vector) => vector.name === 'synced, nothing left') ?? firstVector('synced')
  assert.equal(refusalOf(resealed(synced, {})), 'accepted')
  assert.equal(refusalOf(resealed(synced, { pageSize: 0 })), 'MESSAGE_BAD')
})

test('whole numbers may come as any msgpack integer', () => {
  const { body } = firstVector('ack')
  const ack = (txid: string) => {
    const packed = pack({ ...body, txid: 0 })
    const at = packed.indexOf(pack('txid')) + pack('txid').length
    return seal(
      { code: MESSAGES.ack.code },
      Buffer.concat([packed.subarray(0, at), Buffer.from(txid, 'hex'), packed.subarray(at + 1)]),
    )
  }
  for (const [hex, value] of [
    ['cf0000000000000007', 7],
    ['d30000000000000007', 7],
    ['cf0001000000000000', limits.MAX_COUNTED],
    ['cb401c000000000000', 7],
    ['ca40e00000', 7],
    ['d007', 7],
    ['d10007', 7],
    ['d200000007', 7],
    ['cc07', 7],
    ['ce00000007', 7],
  ] as const) {
    const decoded = decode(ack(hex))
    assert.ok(decoded.type === 'ack')
    assert.equal(decoded.body.txid, value, hex)
  }
  for (const hex of [
    'cf0020000000000000',
    'cfffffffffffffffff',
    'd3ffffffffffffffff',
    'ff',
    'd0ff',
    'cb3ff8000000000000',
  ])
    assert.equal(refusalOf(ack(hex)), 'MESSAGE_BAD', hex)
})

test('page numbers that no database has are refused', () => {
  for (const type of ['batch', 'pages', 'synced'] as const) {
    const vector = firstVector(type)
    for (const [page, outcome] of [
      [0, 'MESSAGE_BAD'],
      [limits.MAX_PAGE_NUMBER + 1, 'MESSAGE_BAD'],
      [limits.MAX_PAGE_NUMBER, 'accepted'],
    ] as const) {
      const last = Number(vector.body['pages']) - 1
      const payload = Buffer.from(vector.payload)
      payload.writeUInt32LE(page, 4 * last)
      assert.equal(refusalOf(resealed(vector, {}, payload)), outcome, `${type} with page ${page}`)
    }
  }
})

test('as many pages and sums as the limits allow are taken, one more is not', () => {
  const batch = firstVector('batch')
  const pages = (count: number) => {
    const payload = Buffer.alloc(pagesPayloadBytes(count, 512))
    for (let i = 0; i < count; i++) payload.writeUInt32LE(i + 1, 4 * i)
    return refusalOf(resealed(batch, { pages: count }, payload))
  }
  assert.equal(pages(limits.MAX_PAGES), 'accepted')
  assert.equal(pages(limits.MAX_PAGES + 1), 'MESSAGE_BAD')
  const sums = (count: number) =>
    refusalOf(resealed(firstVector('have'), { sums: count, firstPage: 1 }, Buffer.alloc(8 * count)))
  assert.equal(sums(limits.MAX_SUMS), 'accepted')
  assert.equal(sums(limits.MAX_SUMS + 1), 'MESSAGE_BAD')
})

/** Bodies that are no map of fields: cut, over-long, deeply nested, extensions of every kind. */
const BAD_BODIES: readonly (readonly [string, Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['null', Buffer.of(0xc0)],
  ['a number', Buffer.of(5)],
  ['text', pack('hello')],
  ['an array', pack([1, 2])],
  ['an empty map', Buffer.of(0x80)],
  ['a cut map', Buffer.of(0x82, 0xa2, 0x64, 0x62)],
  ['a map of 2^32 - 1 entries', Buffer.from('dfffffffff', 'hex')],
  ['an array of 2^32 - 1 entries', Buffer.from('ddffffffff', 'hex')],
  ['text of 2^32 - 1 bytes', Buffer.from('dbffffffff', 'hex')],
  ['binary of 2^32 - 1 bytes', Buffer.from('c6ffffffff', 'hex')],
  ['an extension of 2^32 - 1 bytes', Buffer.from('c9ffffffff01', 'hex')],
  ['the byte that msgpack never uses', Buffer.of(0xc1)],
  ['a map with something behind it', Buffer.concat([pack(firstVector('ping').body), Buffer.of(0)])],
  ['arrays within arrays', Buffer.alloc(limits.MAX_BODY_BYTES, 0x91)],
  ['maps within maps', Buffer.from('81a161'.repeat(5000), 'hex')],
  ['text that is not UTF-8', Buffer.from('82a26462a3ffffffa674696d654d7300', 'hex')],
  ...Array.from({ length: 256 }, (_, type): readonly [string, Buffer] => [
    `extension ${type}`,
    Buffer.concat([Buffer.of(0xd6, type), pack(7), pack('ab')]),
  ]),
  ...Array.from({ length: 256 }, (_, byte): readonly [string, Buffer] => [
    `only byte ${byte}`,
    Buffer.of(byte),
  ]),
]

test('bodies that are no msgpack map of the fields are refused', () => {
  for (const [name, body] of BAD_BODIES) {
    assert.equal(refusalOf(seal({ code: MESSAGES.hello.code }, body)), 'MESSAGE_BAD', name)
    assertStillWorks()
  }
})

test('keys that mean something to JavaScript give nothing away', () => {
  for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const body = Buffer.concat([
      Buffer.of(0x83),
      pack('db'),
      pack('app'),
      pack('timeMs'),
      pack(1),
      pack(key),
      pack({ db: 'x' }),
    ])
    const decoded = decode(seal({ code: MESSAGES.ping.code }, body))
    assert.equal(decoded.body.db, 'app')
    assert.equal(Reflect.get({}, 'db'), undefined)
  }
  const inherited = Buffer.concat([
    Buffer.of(0x81),
    pack('__proto__'),
    pack({ db: 'app', timeMs: 1 }),
  ])
  assert.equal(refusalOf(seal({ code: MESSAGES.ping.code }, inherited)), 'MESSAGE_BAD')
})

test('random bytes, bodies and mangled messages are refused or decode to a valid message', () => {
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
  const code = fc.constantFrom(...TYPES.map((type) => MESSAGES[type].code))
  fc.assert(
    fc.property(bytes, (random) => assert.notEqual(refusalOf(random), 'accepted')),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(code, bytes, bytes, (of, body, payload) =>
      assert.notEqual(refusalOf(seal({ code: of }, body, payload)), 'accepted'),
    ),
    { numRuns: 3000 },
  )
  const edits = fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), {
    minLength: 1,
    maxLength: 4,
  })
  fc.assert(
    fc.property(fc.constantFrom(...VECTORS), edits, (vector, changes) => {
      const body = pack(vector.body)
      for (const { at, byte } of changes) body[at % body.length] = byte
      const outcome = refusalOf(seal({ code: MESSAGES[vector.type].code }, body, vector.payload))
      assert.ok(outcome === 'accepted' || outcome === 'MESSAGE_BAD', outcome)
    }),
    { numRuns: 5000 },
  )
  assertStillWorks()
})

test('a position is written and read back, and nothing else is one', () => {
  fc.assert(
    fc.property(fc.nat(1e9), fc.nat(1e9), (epoch, txid) => {
      assert.deepEqual(parsePosition(formatPosition({ epoch, txid })), { epoch, txid })
    }),
  )
  for (const text of [
    '',
    '-',
    '1',
    '1-',
    '-1',
    '1-2-3',
    ' 1-2',
    '1-2\n',
    '1.0-2',
    '1-2x',
    '+1-2',
    `${'9'.repeat(16)}-1`,
  ])
    assert.equal(parsePosition(text), undefined, JSON.stringify(text))
})

/** Rows of the first table under a heading of PROTOCOL.md, cells without backquotes. */
function tableUnder(heading: string): string[][] {
  const at = PROTOCOL.indexOf(`\n${heading}\n`)
  assert.ok(at >= 0, `PROTOCOL.md has no heading "${heading}"`)
  const section = PROTOCOL.slice(at + heading.length + 2).split(/\n#{2,4} /, 1)[0]
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.replaceAll('`', '').trim()),
    )
}

test('PROTOCOL.md names each message, its code, its payload and each of its fields', () => {
  for (const type of TYPES) {
    const { code, payload, fields: named } = MESSAGES[type]
    const heading = `### ${type} (code ${code})`
    assert.deepEqual(
      tableUnder(heading).map(([name]) => name),
      Object.keys(named),
      type,
    )
    const section = PROTOCOL.slice(PROTOCOL.indexOf(heading)).split('\n### ', 2)[0]
    assert.ok(section.includes(`Payload: ${payload}.`), `${type} has payload ${payload}`)
  }
  const headings = [...PROTOCOL.matchAll(/^### (\w+) \(code \d+\)$/gm)].map(([, type]) => type)
  assert.deepEqual(headings, TYPES)
})

test('PROTOCOL.md has the limits and versions of the code', () => {
  const rows = new Map(tableUnder('## Limits').map(([name, value]) => [name, value]))
  const numbers = Object.entries(limits).filter(([, value]) => typeof value === 'number')
  assert.deepEqual([...rows.keys()].sort(), numbers.map(([name]) => name).sort())
  for (const [name, value] of numbers)
    assert.equal(Number(rows.get(name)?.replaceAll(' ', '')), value, name)
  for (const version of limits.PROTOCOL_VERSIONS)
    assert.ok(PROTOCOL.includes(`\`${limits.SUBPROTOCOL_PREFIX}${version}\``), `version ${version}`)
})

test('PROTOCOL.md lays out the header as it is and its worked example is a golden vector', () => {
  let offset = 0
  for (const [at, bytes] of tableUnder('### Header')) {
    assert.equal(Number(at), offset)
    offset += Number(bytes)
  }
  assert.equal(offset, limits.HEADER_BYTES)
  const example = /```hex\n([0-9a-f\s]+)```/.exec(PROTOCOL)?.[1].replace(/\s/g, '')
  assert.equal(example, firstVector('ping').bytes.toString('hex'))
})
