/** How news changes what the page knows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { healthOf } from '../../../src/console/page/health.ts'
import { refusalText } from '../../../src/console/page/permission.ts'
import { FIRST_STATE, withEvent, withoutSession } from '../../../src/console/page/state.ts'

const AT = { at: '2026-01-01T00:00:00.000Z' }
const clock = JSON.stringify(AT)
const lag = JSON.stringify({ lagMs: 3 })

test('each event changes its part, and what is broken changes nothing', () => {
  const known = withEvent(FIRST_STATE, 'node', '{"node":"a","causes":[]}')
  assert.equal(known.node, 'a')
  for (const data of ['', '{', 'undefined']) assert.equal(withEvent(known, 'node', data), known)
  assert.equal(withEvent(known, 'cluster', '{}').status, known.status)
  assert.equal(withEvent(known, 'unheard' as 'cluster', '{}'), known)
  assert.equal(withEvent(known, 'clock', '{"at":"never"}'), known)
  assert.equal(withEvent(known, 'session', 'null').session, null)
})

test('lag is remembered once a second, for a bounded time', () => {
  let state = withEvent(FIRST_STATE, 'clock', clock)
  assert.deepEqual(state.lagPoints, [])
  state = withEvent(state, 'lag', lag)
  state = withEvent(state, 'node', JSON.stringify({ role: 'replica' }))
  for (let i = 0; i < 1000; i++) state = withEvent(state, 'clock', clock)
  assert.equal(state.lagPoints.length, 900)
  const atMs = Date.parse(AT.at)
  assert.deepEqual(state.lagPoints.at(-1), { atMs, lagMs: 3 })
})

test('a leader shows the lag of its slowest replica that is there', () => {
  const replicas = [
    { connected: true, lagMs: 2 },
    { connected: true, lagMs: 5 },
    { connected: false, lagMs: 900 },
  ]
  const leader = JSON.stringify({ role: 'leader', replicas })
  const events = [['lag', lag] as const, ['node', leader] as const, ['clock', clock] as const]
  const state = events.reduce((last, [event, data]) => withEvent(last, event, data), FIRST_STATE)
  assert.equal(state.lagPoints.at(-1)?.lagMs, 5)
})

test('whoever logs out leaves nothing on the page', () => {
  const state = withEvent(withEvent(FIRST_STATE, 'node', '{"node":"a"}'), 'lag', lag)
  const after = withoutSession(state)
  assert.deepEqual(after, { ...FIRST_STATE, node: 'a', session: null })
})

test('health is a word with a tone', () => {
  const live = { ...FIRST_STATE, link: { is: 'live' } as const, session: undefined }
  const node = (status: object) => withEvent(live, 'node', JSON.stringify(status))
  const leader = { node: 'a', role: 'leader', causes: [], lag: { connected: false } }
  assert.equal(healthOf(live).word, 'connecting')
  assert.deepEqual(healthOf(node(leader)), { tone: 'good', word: 'all well' })
  assert.equal(healthOf(node({ ...leader, causes: [{}] })).word, 'needs attention')
  assert.equal(healthOf(node({ ...leader, role: 'replica' })).word, 'leader away')
  assert.equal(healthOf({ ...live, session: null }).word, 'not logged in')
  const away = { is: 'away', sinceMs: 0, nextTryMs: 0 } as const
  assert.equal(healthOf({ ...node(leader), link: away }).word, 'no answer')
})

test('a button that may not be used says why', () => {
  const as = (role: 'read' | 'operate' | 'admin') => ({
    ...FIRST_STATE,
    link: { is: 'live' } as const,
    session: { role, token: 'x', expires: null },
  })
  assert.equal(refusalText(as('admin'), 'operate'), undefined)
  assert.equal(refusalText(as('operate'), 'operate'), undefined)
  assert.equal(
    refusalText(as('read'), 'operate'),
    'Your role is read; this needs the role operate.',
  )
  assert.equal(refusalText({ ...as('admin'), session: null }, 'read'), 'Log in first.')
  const link = { is: 'away', sinceMs: 0, nextTryMs: 0 } as const
  assert.equal(refusalText({ ...as('admin'), link }, 'read'), 'This node does not answer.')
})
