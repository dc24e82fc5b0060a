/** The cookie that carries a position: read from whatever clients send, and invisible to what identifies a client. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PositionCookie } from '../src/http/positionCookie.ts'

const NAME = 'walcast_position'
const CLUSTER = 'c0ffee-1'
const cookie = new PositionCookie(NAME, () => CLUSTER)

const number = fc.integer({ min: 0, max: 999_999_999_999_999 })
const position = fc.record({ epoch: number, txid: number }, { noNullPrototype: true })
/** Cookies of the application, as a header has them. */
const others = fc.array(
  fc
    .tuple(fc.stringMatching(/^[a-z_]{1,18}$/), fc.stringMatching(/^[\w.="-]{0,8}$/))
    .map((pair) => pair.join('=')),
  { maxLength: 4 },
)

test('what was written is read, among whatever other cookies', () => {
  fc.assert(
    fc.property(position, others, others, fc.boolean(), (given, before, after, isQuoted) => {
      fc.pre(![...before, ...after].some((part) => part.startsWith(`${NAME}=`)))
      const [pair, ...attributes] = (cookie.write(given) ?? '').split('; ')
      assert.deepEqual(attributes, ['Path=/', 'HttpOnly', 'SameSite=Lax'])
      const sent = isQuoted ? pair.replace(/=(.*)$/, '="$1"') : pair
      assert.deepEqual(cookie.read([...before, sent, ...after].join('; ')), given)
      assert.deepEqual(cookie.read([...before, sent, ...after].join(';')), given)
    }),
  )
})

test('whatever a client sends is read without harm', () => {
  const pieces = fc.constantFrom(
    NAME,
    '=',
    ';',
    ' ',
    '"',
    CLUSTER,
    '.',
    '1-2',
    '9999999999999999-1',
    '\0',
    'é',
  )
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(pieces, { maxLength: 12 }).map((all) => all.join('')),
  )
  fc.assert(
    fc.property(text, (header) => {
      const found = cookie.read(header)
      if (found) assert.ok(Number.isSafeInteger(found.epoch) && Number.isSafeInteger(found.txid))
      assert.equal(cookie.read(cookie.without(header)), undefined)
    }),
    { numRuns: 2000 },
  )
})

test('a position is told only by the whole name and value of this cluster', () => {
  const good = `${NAME}=${CLUSTER}.1-2`
  assert.deepEqual(cookie.read(good), { epoch: 1, txid: 2 })
  for (const header of [
    undefined,
    '',
    NAME,
    `${NAME}=`,
    `x${good}`,
    good.replace(NAME, NAME.toUpperCase()),
    `${NAME}=1-2`,
    `${NAME}=other.1-2`,
    `${NAME}=${CLUSTER}1-2`,
    `${good}x`,
    `${good}-3`,
    `${NAME}=${CLUSTER}.-1-2`,
    `${NAME}=${CLUSTER}.1-1234567890123456`,
    `${good};${' '.repeat(17_000)}`,
  ])
    assert.equal(cookie.read(header), undefined, header?.slice(0, 80))
  assert.deepEqual(cookie.read(`${NAME}=${CLUSTER}.1-1; ${good}`), { epoch: 1, txid: 2 }, 'the last counts')
})

test('without a cluster nothing is read or written', () => {
  for (const cluster of ['', 'a b', 'a;b', 'x'.repeat(129)]) {
    const none = new PositionCookie(NAME, () => cluster)
    assert.equal(none.write({ epoch: 1, txid: 2 }), undefined, cluster)
  }
  const none = new PositionCookie(NAME, () => '')
  for (const value of ['.1-2', '1-2']) assert.equal(none.read(`${NAME}=${value}`), undefined)
})

test('what identifies a client is the same with and without our cookie, wherever it stands', () => {
  fc.assert(
    fc.property(others, fc.nat(4), position, (cookies, at, given) => {
      fc.pre(!cookies.some((part) => part.startsWith(`${NAME}=`)))
      const [pair] = (cookie.write(given) ?? '').split(';')
      const withOurs = [...cookies.slice(0, at), pair, ...cookies.slice(at)]
      assert.equal(cookie.without(withOurs.join('; ')), cookie.without(cookies.join('; ')))
    }),
  )
  assert.equal(cookie.without('a=1; b=2'), 'a=1; b=2')
  assert.notEqual(cookie.without('a=1'), cookie.without('a=2'))
})
