/** The header that tells a leader of the first attempt at a request. */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import {
  FIRST_ATTEMPT_HEADER,
  firstAttemptOf,
  formatFirstAttempt,
} from '../../src/proxy/firstAttempt.ts'

function requestWith(text: string | undefined): IncomingMessage {
  return { headers: text === undefined ? {} : { [FIRST_ATTEMPT_HEADER]: text } } as IncomingMessage
}

test('a second attempt says when and to whom the first was sent, or nothing is known', () => {
  const id = '0123456789abcdef'
  const parsed = (text: string) => firstAttemptOf(requestWith(text))
  assert.equal(firstAttemptOf(requestWith(undefined)), undefined)
  assert.deepEqual(parsed(formatFirstAttempt({ incarnation: id, agoMs: 1234.5 })), {
    incarnation: id,
    agoMs: 1235,
  })
  for (const text of [
    '',
    'x',
    id,
    `${id}; agoMs=1.5`,
    `${id}; agoMs=${'9'.repeat(16)}`,
    `${id}0; agoMs=1`,
  ])
    assert.deepEqual(parsed(text), { incarnation: '', agoMs: Number.POSITIVE_INFINITY }, text)
})
