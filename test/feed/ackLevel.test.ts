/** Levels of acknowledgement as they are written, and what an answer says of them. */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { WalcastError } from '../../src/errors.ts'
import { isLocal, parseAckLevel, requireAckLevel } from '../../src/feed/ackLevel.ts'
import type { AckOutcome, AckWanted } from '../../src/feed/acknowledgements.ts'
import { parseValue } from '../../src/options/optionValues.ts'
import { AckWaits } from '../../src/proxy/ackWaits.ts'

const wanted = (text: string) => {
  const level = parseAckLevel(text)
  return level && [level.replicas, level.durable, level.label]
}

test('levels are local, one, all and numbers, and all but the first may be durable', () => {
  assert.deepEqual(wanted('local'), [0, false, 'local'])
  assert.deepEqual(wanted('one'), [1, false, 'one'])
  assert.deepEqual(wanted(' One-Durable '), [1, true, 'one-durable'])
  assert.deepEqual(wanted('all'), ['all', false, 'all'])
  assert.deepEqual(wanted('all-durable'), ['all', true, 'all-durable'])
  for (const count of [1, 2, 10, 57, 999]) {
    assert.deepEqual(wanted(`${count}`), [count, false, 'n'], 'clients cannot make up labels')
    assert.deepEqual(wanted(`${count}-durable`), [count, true, 'n-durable'])
  }
  assert.ok(isLocal(requireAckLevel('local')))
  assert.ok(!isLocal(requireAckLevel('1')))
})

test('anything else is no level', () => {
  const texts = [
    '',
    'two',
    '0',
    '-1',
    '01',
    '1000',
    '1.5',
    '1e1',
    'any',
    'one,all',
    'one, one',
    'durable',
  ]
  for (const text of [
    ...texts,
    'local-durable',
    'one-',
    'one-durable-durable',
    'one durable',
    '²',
  ]) {
    assert.equal(parseAckLevel(text), undefined, text)
    assert.throws(() => requireAckLevel(text), { key: 'BAD_REQUEST' })
    assert.throws(() => parseValue('ack', 'ackLevel', text), { key: 'USAGE' })
  }
  assert.equal(parseValue('ack', 'ackLevel', '2-durable'), '2-durable')
})

function waitsOn(acknowledge: (wanted: AckWanted) => Promise<AckOutcome>, isSure = () => true) {
  const ended: string[] = []
  const view = { acknowledge: (_position: unknown, level: AckWanted) => acknowledge(level) }
  const options = { level: requireAckLevel('one'), timeoutMs: 7 }
  const waits = new AckWaits(options, view, isSure, (level, result) =>
    ended.push(`${level} ${result}`),
  )
  return { waits, ended }
}

const asking = (level?: string) =>
  ({ headers: level === undefined ? {} : { 'walcast-ack': level } }) as unknown as IncomingMessage

test('writes wait for the level of request or node; reads only for a named one', () => {
  const { waits } = waitsOn(() => assert.fail())
  assert.equal(waits.levelFor(asking(), true)?.name, 'one')
  assert.equal(waits.levelFor(asking(), false), undefined)
  assert.equal(waits.levelFor(asking('2'), false)?.name, '2')
  assert.equal(waits.levelFor(asking('local'), true), undefined)
  for (const isWrite of [true, false])
    assert.throws(() => waits.levelFor(asking('most'), isWrite), { key: 'BAD_REQUEST' })
})

test('an answer says that a level was reached only when it was', async () => {
  const outcomes: AckOutcome[] = [
    { reached: true, replicas: 3, end: 'reached' },
    { reached: false, replicas: 1, end: 'timeout' },
  ]
  const { waits, ended } = waitsOn(async () => outcomes.shift() ?? assert.fail())
  const position = { epoch: 1, txid: 2 }
  const level = requireAckLevel('2-durable')
  assert.deepEqual(await waits.headersFor(position, level), {
    'walcast-acked': '2-durable; replicas=3',
  })
  assert.deepEqual(await waits.headersFor(position, level), {
    'walcast-not-replicated': '2-durable; replicas=1',
  })
  assert.deepEqual(await waits.headersFor(undefined, level), {
    'walcast-not-replicated': '2-durable; replicas=0',
  })
  const refusing = waitsOn(() => Promise.reject(new WalcastError('NOT_LEADER')))
  assert.deepEqual(await refusing.waits.headersFor(position, level), {
    'walcast-not-replicated': '2-durable; replicas=0',
  })
  assert.deepEqual(ended, ['n-durable reached', 'n-durable timeout', 'n-durable unknown'])
  assert.deepEqual(refusing.ended, ['n-durable unknown'])
  assert.equal(waits.waiting, 0)
})

test('a node that is not sure that it leads says of no write that it is acknowledged', async () => {
  const reached = { reached: true, replicas: 2, end: 'reached' } as const
  const { waits, ended } = waitsOn(
    async () => reached,
    () => false,
  )
  const headers = await waits.headersFor({ epoch: 1, txid: 2 }, requireAckLevel('one'))
  assert.deepEqual(headers, { 'walcast-not-replicated': 'one; replicas=2' })
  assert.deepEqual(ended, ['one unknown'])
})
