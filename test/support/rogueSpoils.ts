/** What a stranger must never get: the secret of a cluster, and words of its clients. */
import assert from 'node:assert/strict'
import type { Rogue } from './rogue.ts'

export const SECRET = 'correct horse battery staple'
export const WITH_SECRET = { WALCAST_SECRET: SECRET }
export const [COOKIE, BODY] = ['session=of-a-client', 'words-of-a-client']

export function requireNothingIn(...rogues: readonly Rogue[]): void {
  for (const rogue of rogues) {
    assert.deepEqual(rogue.taken, [])
    for (const text of [SECRET, COOKIE, BODY, 'mac=', 'Sec-WebSocket', 'SQLite format'])
      assert.ok(!rogue.bytes.includes(text), text)
  }
}
