/**
 * The cookie that carries a position: it is read from anything that clients send, and does not
 * identify a client.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Position } from '../../proto/position.ts'
import { PositionCookie } from '../../src/proxy/positionCookie.ts'

const NAME = 'walcast_position'
const CLUSTER = 'c0ffee-1'
const SECRET = 'correct horse battery staple'
const cookie = new PositionCookie(NAME, () => CLUSTER, SECRET)

const number = fc.integer({ min: 0, max: 999_999_999_999_999 })
const position = fc.record({ epoch: number, txid: number }, { noNullPrototype: true })
const pairOf = (given: Position, by = cookie) => (by.write(given) ?? '').split(';')[0]
const SIGNED = pairOf({ epoch: 1, txid: 2 }).slice(NAME.length + 1)
/** Cookies of the application, as a header carries them. */
const others = fc.array(
  fc
    .tuple(fc.stringMatching(/^[a-z_]{1,18}$/), fc.stringMatching(/^[\w.="-]{0,8}$/))
    .map((pair) => pair.join('=')),
  { maxLength: 4 },
)

test('a cookie that was written is read among any others', () => {
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

test('an empty cookie is no position, even before the node has made one', () => {
  const fresh = new PositionCookie(NAME, () => CLUSTER, SECRET)
  for (const header of [`${NAME}=`, `${NAME}=""`]) assert.equal(fresh.read(header), undefined)
})

test('any Cookie header is read without harm', () => {
  const pieces = fc.constantFrom(
    NAME,
    '=',
    ';',
    ' ',
    '"',
    CLUSTER,
    SIGNED,
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

test('only this cluster’s whole name and value give a position', () => {
  const good = `${NAME}=${SIGNED}`
  const [tag, text, mac] = SIGNED.split('.')
  assert.deepEqual(cookie.read(good), { epoch: 1, txid: 2 })
  for (const header of [
    undefined,
    '',
    NAME,
    `${NAME}=`,
    `x${good}`,
    good.replace(NAME, NAME.toUpperCase()),
    `${NAME}=1-2`,
    `${NAME}=${CLUSTER}.1-2`,
    `${NAME}=${tag}.1-2`,
    `${NAME}=${tag}.1-2.`,
    `${NAME}=${tag}.1-3.${mac}`,
    `${NAME}=${tag}.01-2.${mac}`,
    `${NAME}=${text}.${mac}`,
    `${NAME}=${'A'.repeat(8)}.${text}.${mac}`,
    `${NAME}=${tag}.${text}.${'A'.repeat(16)}`,
    `${good}x`,
    `${good}-3`,
    good.slice(0, -1),
    `${NAME}=${tag}.-1-2.${mac}`,
    `${NAME}=${tag}.1-1234567890123456.${mac}`,
    `${good};${' '.repeat(17_000)}`,
  ])
    assert.equal(cookie.read(header), undefined, header?.slice(0, 80))
  assert.deepEqual(
    cookie.read(`${pairOf({ epoch: 1, txid: 1 })}; ${good}`),
    { epoch: 1, txid: 2 },
    'the last counts',
  )
})

test('without a cluster nothing is read or written', () => {
  for (const cluster of ['', 'a b', 'a;b', 'x'.repeat(129)]) {
    const none = new PositionCookie(NAME, () => cluster)
    assert.equal(none.write({ epoch: 1, txid: 2 }), undefined, cluster)
  }
  const none = new PositionCookie(NAME, () => '')
  for (const value of ['.1-2', '1-2']) assert.equal(none.read(`${NAME}=${value}`), undefined)
})

test('a client is identified without our cookie, wherever that stands', () => {
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

test('nodes read the cookies of their own cluster and no others', () => {
  const given = { epoch: 3, txid: 4711 }
  const make = (cluster: string, secret?: string) => new PositionCookie(NAME, () => cluster, secret)
  const makers = [
    () => make(CLUSTER, SECRET),
    () => make('c0ffee-2', SECRET),
    () => make(CLUSTER, `${SECRET}.`),
    () => make(CLUSTER),
    () => make('c0ffee-2'),
  ]
  for (const [i, writer] of makers.entries())
    for (const [j, reader] of makers.entries())
      assert.deepEqual(
        reader().read(pairOf(given, writer())),
        i === j ? given : undefined,
        `${i} ${j}`,
      )
  for (const writer of makers)
    assert.ok(!pairOf(given, writer()).includes('c0ffee'), 'clients learn no id')
})

test('a node that joins another cluster uses that cluster’s cookies', () => {
  let cluster = ''
  const moving = new PositionCookie(NAME, () => cluster, SECRET)
  assert.equal(moving.write({ epoch: 1, txid: 2 }), undefined)
  cluster = CLUSTER
  assert.equal(pairOf({ epoch: 1, txid: 2 }, moving), `${NAME}=${SIGNED}`)
  cluster = 'c0ffee-2'
  assert.equal(moving.read(`${NAME}=${SIGNED}`), undefined)
  assert.notEqual(pairOf({ epoch: 1, txid: 2 }, moving), `${NAME}=${SIGNED}`)
})

test('a stale answer takes no promise back', () => {
  const [early, late] = [
    { epoch: 1, txid: 2 },
    { epoch: 1, txid: 9 },
  ]
  const renewed = (position: Position, carried: Position, isStale: boolean) =>
    cookie
      .renewal(position, pairOf(carried), { isWrite: false, isStale, cacheControl: '' })
      ?.split(';')[0]
  assert.equal(renewed(early, late, true), undefined)
  assert.equal(renewed(late, early, true), pairOf(late))
  assert.equal(renewed(early, late, false), pairOf(early), 'it contains what the client has seen')
  assert.equal(renewed(late, late, false), undefined)
})

test('an answer that a shared cache may keep carries no cookie', () => {
  const answer = { isWrite: false, isStale: false, cacheControl: '' }
  const given = { epoch: 1, txid: 2 }
  const renewed = (changed: Partial<typeof answer>) =>
    cookie.renewal(given, undefined, { ...answer, ...changed }) !== undefined
  for (const cacheControl of [
    'public',
    's-maxage=5',
    'max-age=60',
    'Max-Age=1, must-revalidate',
    'max-age="60"',
  ])
    assert.deepEqual(
      [renewed({ cacheControl }), renewed({ cacheControl, isWrite: true })],
      [false, true],
      cacheControl,
    )
  for (const cacheControl of [
    '',
    'no-cache',
    'no-store, max-age=60',
    'max-age=0',
    'private, max-age=60',
    'max-age=60, private',
  ])
    assert.ok(renewed({ cacheControl }), cacheControl)
})
