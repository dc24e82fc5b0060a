/** Sessions of the console: how long they last, how many there are, when they end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConsoleSessions,
  MAX_SESSIONS,
  MAX_SESSIONS_PER_TOKEN,
  SESSION_IDLE_MS,
  SESSION_MAX_MS,
} from '../../src/console/sessions.ts'

const HOLDER = { id: 'abc', role: 'operate' } as const
const START_MS = 1_000_000

function setUp(tokens: Record<string, number> = { abc: Infinity }) {
  const clock = { nowMs: START_MS }
  const check = { expiryOf: (id: string) => tokens[id] }
  const sessions = new ConsoleSessions({ check, nowMs: () => clock.nowMs })
  return { clock, tokens, sessions }
}

test('a session is known by its text alone', () => {
  const { sessions } = setUp()
  const [a, b] = [sessions.open(HOLDER), sessions.open(HOLDER)]
  assert.match(a, /^[\w-]{43}$/)
  assert.notEqual(a, b)
  assert.deepEqual(sessions.use(a), { ...HOLDER, endsAt: START_MS + SESSION_MAX_MS })
  for (const text of ['', 'x', a.slice(1), `${a}=`, 'x'.repeat(43)])
    assert.equal(sessions.use(text), undefined)
  sessions.end(a)
  assert.equal(sessions.use(a), undefined)
  assert.equal(sessions.use(b)?.id, 'abc')
})

test('it ends when it is idle, and at the latest after its time, used or not', () => {
  const { sessions, clock } = setUp()
  const [idle, used] = [sessions.open(HOLDER), sessions.open(HOLDER)]
  clock.nowMs += SESSION_IDLE_MS - 1
  assert.ok(sessions.use(used))
  clock.nowMs += 1
  assert.equal(sessions.use(idle), undefined)
  assert.ok(sessions.use(used))
  while (clock.nowMs < START_MS + SESSION_MAX_MS - SESSION_IDLE_MS) {
    clock.nowMs += SESSION_IDLE_MS - 1
    assert.ok(sessions.use(used))
  }
  clock.nowMs = START_MS + SESSION_MAX_MS - 1
  assert.ok(sessions.use(used))
  clock.nowMs++
  assert.equal(sessions.use(used), undefined)
  assert.equal(sessions.size, 0)
})

test('it ends with its token', () => {
  const { sessions, clock, tokens } = setUp({ abc: START_MS + 500, def: Infinity })
  const [expiring, revoked] = [sessions.open(HOLDER), sessions.open({ id: 'def', role: 'read' })]
  assert.equal(sessions.use(expiring)?.endsAt, START_MS + 500)
  delete tokens['def']
  assert.equal(sessions.use(revoked), undefined)
  tokens['def'] = Infinity
  assert.equal(sessions.use(revoked), undefined)
  clock.nowMs += 500
  assert.equal(sessions.use(expiring), undefined)
})

test('there are no more than the bounds, and the one that was idle for longest goes', () => {
  const { sessions } = setUp(Object.fromEntries(['abc', ...ids()].map((id) => [id, Infinity])))
  const mine = Array.from({ length: MAX_SESSIONS_PER_TOKEN }, () => sessions.open(HOLDER))
  assert.ok(sessions.use(mine[0]))
  sessions.open(HOLDER)
  assert.equal(sessions.use(mine[1]), undefined)
  assert.ok(sessions.use(mine[0]))
  for (const id of ids()) sessions.open({ id, role: 'read' })
  assert.equal(sessions.size, MAX_SESSIONS)
  assert.equal(sessions.use(mine[0]), undefined)
})

function ids(): string[] {
  return Array.from({ length: MAX_SESSIONS }, (_, i) => `token${i}`)
}
