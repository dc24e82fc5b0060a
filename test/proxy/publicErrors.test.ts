/**
 * What clients of the application are told of errors: the code and what to do, nothing of nodes and
 * machines.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CATALOGUE } from '../../src/errorCatalogue.ts'
import { type ErrorCode, WalcastError } from '../../src/errors.ts'
import { asTold, isHidden, publicBody } from '../../src/proxy/publicErrors.ts'

const KEYS = Object.keys(CATALOGUE) as ErrorCode[]
/** What a text for clients may name: bounds, and what the client itself sent. */
const MAY_TELL = ['limit', 'seconds', 'timeoutMs', 'what', 'path', 'wanted']
/**
 * Errors whose detail is about the request, and the one that says where clients find the leader.
 */
const OPEN: readonly ErrorCode[] = ['BAD_REQUEST', 'STANDBY']

function filled(key: ErrorCode): WalcastError {
  const { what, cure } = CATALOGUE[key]
  const names = [...`${what} ${cure}`.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
  return new WalcastError(key, Object.fromEntries(names.map((name) => [name, `<${name}>`])))
}

for (const key of KEYS)
  test(`${key}: a stranger is told neither addresses nor ids`, () => {
    const error = filled(key)
    const { code, message, cure } = publicBody(error, false)
    assert.equal(code, error.code)
    assert.doesNotMatch(message, /\{|undefined/)
    for (const [, name] of `${message} ${cure}`.matchAll(/<(\w+)>/g))
      assert.ok(OPEN.includes(key) || MAY_TELL.includes(name), `${name} in: ${message}; ${cure}`)
    assert.equal(isHidden(error), message !== error.message)
    const all = publicBody(error, true)
    assert.deepEqual(
      [all.message, all.cure],
      [error.message, error.cure],
      'with --verbose-errors all of it',
    )
  })

test('clients do not get texts of other nodes', () => {
  const error = new WalcastError('STARTING', { message: 'node-b at 10.0.0.7:8470 is starting' })
  assert.doesNotMatch(JSON.stringify(publicBody(error, false)), /10\.0\.0\.7|node-b/)
  assert.ok(isHidden(error))
})

test('an application gets an error without hidden details, the whole as its cause', () => {
  const error = new WalcastError('LEADER_AWAY', {
    address: '10.0.0.7:8470',
    seconds: 1,
    detail: 'gone',
  })
  const told = asTold(error, false) as WalcastError
  assert.deepEqual([told.code, told.status, told.cause], [error.code, 503, error])
  assert.equal(told.message, 'the leader did not take the request within 1 s')
  assert.equal(asTold(error, true), error)
  const plain = new WalcastError('KEY_REUSED')
  assert.equal(asTold(plain, false), plain)
})
