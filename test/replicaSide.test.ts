/** What a replica does with a read that it cannot answer yet. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Bodies } from '../src/http/bodies.ts'
import { Consistency } from '../src/http/consistency.ts'
import { Forwarder } from '../src/http/forwarder.ts'
import { Gate } from '../src/http/gate.ts'
import { PositionCookie } from '../src/http/positionCookie.ts'
import { RateBudget } from '../src/http/rateBudget.ts'
import { type OnStale, ReplicaSide, type StaleReadEnd } from '../src/http/replicaSide.ts'
import type { NodeView } from '../src/http/view.ts'
import { Waits } from '../src/http/waits.ts'
import { within } from './support/until.ts'

const WANTED = {
  positions: [{ epoch: 1, txid: 9, isSigned: true }],
  maxStalenessMs: undefined,
  askedMs: performance.now(),
}

/** A replica that has a copy and never reaches what is wanted. */
function setUp(context: TestContext, onStale: OnStale, perSecond = 10) {
  const leaderAt = () => ({ epoch: 1, txid: 8, agoMs: 0 })
  const now = { canRead: true }
  const view = {
    canRead: () => now.canRead,
    reach: () => 'ahead',
    staleMs: () => 0,
    leaderAt,
    freshen() {},
  } as unknown as NodeView
  const waits = new Waits(10, () => 'ahead')
  const cookie = new PositionCookie('p', () => 'c')
  const gate = new Gate({ maxHeld: 10, probeMs: 5 }, async () => false)
  const forwarder = new Forwarder(
    { leader: '127.0.0.1:1', holdMs: 60, writeWaitMs: 5, maxConnections: 1, answerTimeoutMs: 1000 },
    {
      isLeading: () => false,
      gate,
      waits,
      cookie,
      leaderIncarnation: () => '0123456789abcdef',
      sign: () => '',
      onForwarded() {},
      onHeld() {},
      onUnknown() {},
      onApplied() {},
    },
  )
  context.after(() => forwarder.close())
  const did: StaleReadEnd[] = []
  const side = new ReplicaSide({
    application: () => undefined,
    forwarder,
    consistency: new Consistency(cookie, view, waits),
    cookie,
    bodies: new Bodies(0, 0),
    gate,
    view,
    onStale,
    readWaitMs: 5,
    holdMs: 60,
    staleForwards: new RateBudget(perSecond, () => 0),
    onStaleRead: (how) => did.push(how),
  })
  return { side, gate, did, now }
}

test('past --read-wait a read is forwarded, served with a mark or refused', async (context) => {
  const forwarding = setUp(context, 'forward')
  assert.equal(await forwarding.side.settle(WANTED), 'forward')
  const serving = setUp(context, 'serve')
  assert.deepEqual(await serving.side.settle(WANTED), { stale: '1-9' })
  const refusing = setUp(context, 'refuse')
  await assert.rejects(refusing.side.settle(WANTED), { key: 'STALE_READ' })
  assert.deepEqual([forwarding.did, serving.did, refusing.did], [['forward'], ['serve'], ['refuse']])
})

test('a read that is to be forwarded while the leader is away is held once, and forwarded when it is back', async (context) => {
  const { side, gate } = setUp(context, 'forward')
  gate.close('it is gone')
  await within('it is held no longer', assert.rejects(side.settle(WANTED), { key: 'LEADER_AWAY' }))
  const held = side.settle(WANTED)
  gate.open()
  assert.equal(await held, 'forward')
})

test('past --stale-forwards a read is served with a mark, as long as there is a copy', async (context) => {
  const { side, did, now } = setUp(context, 'forward', 2)
  for (let i = 0; i < 2; i++) assert.equal(await side.settle(WANTED), 'forward')
  assert.deepEqual(await side.settle(WANTED), { stale: '1-9' })
  now.canRead = false
  assert.equal(await side.settle(WANTED), 'forward')
  assert.deepEqual(did, ['forward', 'forward', 'bounded', 'forward'])
})

test('a position that the leader lacks, too, is not looked for there', async (context) => {
  const made = { ...WANTED, positions: [{ epoch: 1, txid: 9, isSigned: false }] }
  const forwarding = setUp(context, 'forward')
  assert.deepEqual(await forwarding.side.settle(made), { stale: '1-9' })
  const refusing = setUp(context, 'refuse')
  await assert.rejects(refusing.side.settle(made), { key: 'STALE_READ' })
  assert.deepEqual([forwarding.did, refusing.did], [['serve'], ['refuse']])
})

test('a budget of a rate gives that many a second, and no more at once', () => {
  let nowMs = 5
  const budget = new RateBudget(10, () => nowMs)
  const taken = () => Array.from({ length: 30 }, () => budget.take()).filter(Boolean).length
  assert.equal(taken(), 10)
  nowMs += 500
  assert.equal(taken(), 5)
  nowMs += 60_000
  assert.equal(taken(), 10)
  assert.equal(new RateBudget(0, () => nowMs).take(), false)
})
