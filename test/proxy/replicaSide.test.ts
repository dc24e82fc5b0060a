/** What a replica does with a read that it cannot answer yet. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import pino from 'pino'
import type { DatabaseView } from '../../src/api/databaseView.ts'
import { PositionWaits } from '../../src/api/positionWaits.ts'
import type { OnStale } from '../../src/options/nodeOptions.ts'
import { Application } from '../../src/proxy/application.ts'
import type { ApplicationWatch } from '../../src/proxy/applicationWatch.ts'
import { Client, type Held } from '../../src/proxy/client.ts'
import { Consistency } from '../../src/proxy/consistency.ts'
import { FailedReads } from '../../src/proxy/failedReads.ts'
import { Forwarder } from '../../src/proxy/forwarder.ts'
import { Gate } from '../../src/proxy/gate.ts'
import { Passes } from '../../src/proxy/passes.ts'
import { PositionCookie } from '../../src/proxy/positionCookie.ts'
import { RateBudget } from '../../src/proxy/rateBudget.ts'
import { Bodies } from '../../src/proxy/replayableBody.ts'
import { ReplicaSide, type StaleReadEnd } from '../../src/proxy/replicaSide.ts'
import { Routes } from '../../src/proxy/routes.ts'
import { Claims } from '../../src/security/claims.ts'
import { within } from '../support/until.ts'

const WANTED = {
  positions: [{ epoch: 1, txid: 9, isSigned: true }],
  maxStalenessMs: undefined,
  askedMs: performance.now(),
}

/** A client that has not waited anywhere yet. */
function reader(): Held {
  let endMs: number | undefined
  const heldUntilMs = (holdMs: number) => {
    endMs ??= performance.now() + holdMs
    return endMs
  }
  return { gone: new AbortController().signal, isGone: false, heldUntilMs }
}

interface Parts {
  readonly leader?: string
  readonly application?: Application
  readonly holdMs?: number
  readonly onHeld?: () => void
  readonly perSecond?: number
  readonly maxWaits?: number
}

/** A replica that has a copy and never reaches what is wanted. */
function setUp(context: TestContext, onStale: OnStale, parts: Parts = {}) {
  const { leader = '127.0.0.1:1', application, holdMs = 60, onHeld = () => {} } = parts
  const { perSecond = 10, maxWaits = 10 } = parts
  const leaderAt = () => ({ epoch: 1, txid: 8, agoMs: 0 })
  const now = { canRead: true }
  const view = {
    canRead: () => now.canRead,
    reach: () => 'ahead',
    staleMs: () => 0,
    leaderAt,
    freshen() {},
    settle: async () => ({ epoch: 1, txid: 1 }),
  } as unknown as DatabaseView
  const waits = new PositionWaits(maxWaits, () => 'ahead')
  const cookie = new PositionCookie('p', () => 'c')
  const gate = new Gate({ maxHeld: 10, probeMs: 5 }, async () => false)
  const forwarder = new Forwarder(
    { leader, holdMs, writeWaitMs: 5, maxConnections: 1, answerTimeoutMs: 60_000 },
    {
      isLeading: () => false,
      gate,
      waits,
      cookie,
      claims: new Claims(() => ({ epoch: 1, txid: 1 })),
      leaderIncarnation: () => '0123456789abcdef',
      sign: () => '',
      dial: undefined,
      onForwarded() {},
      onHeld,
      onUnknown() {},
      onApplied() {},
    },
  )
  context.after(() => forwarder.close())
  const did: StaleReadEnd[] = []
  const failedReads = new FailedReads(
    { statuses: [500], maxPerSecond: 10 },
    {
      routes: new Routes({ forward: [], local: [] }),
      log: { warn() {} },
      onFailedRead() {},
      nowMs: () => 0,
    },
  )
  const side = new ReplicaSide({
    application: () => application,
    watch: { refuse: () => undefined } as unknown as ApplicationWatch,
    forwarder,
    consistency: new Consistency(cookie, view, waits),
    cookie,
    bodies: new Bodies(0, 0),
    gate,
    view,
    failedReads,
    onStale,
    readWaitMs: 5,
    holdMs,
    staleForwards: new RateBudget(perSecond, () => 0),
    onStaleRead: (how) => did.push(how),
  })
  return { side, gate, did, now, failedReads }
}

test('past --read-wait a read is forwarded, served with a mark or refused', async (context) => {
  const forwarding = setUp(context, 'forward')
  assert.equal(await forwarding.side.settle(WANTED, reader()), 'forward')
  const serving = setUp(context, 'serve')
  assert.deepEqual(await serving.side.settle(WANTED, reader()), { stale: '1-9' })
  const refusing = setUp(context, 'refuse')
  await assert.rejects(refusing.side.settle(WANTED, reader()), { key: 'STALE_READ' })
  assert.deepEqual(
    [forwarding.did, serving.did, refusing.did],
    [['forward'], ['serve'], ['refuse']],
  )
})

test('a read to be forwarded is held once while the leader is away', async (context) => {
  const { side, gate } = setUp(context, 'forward')
  gate.close('it is gone')
  await within(
    'it is held no longer',
    assert.rejects(side.settle(WANTED, reader()), { key: 'LEADER_AWAY' }),
  )
  const held = side.settle(WANTED, reader())
  gate.open()
  assert.equal(await held, 'forward')
})

test('a read that finds too many waiting does not block the event loop', async (context) => {
  const { side, gate } = setUp(context, 'forward', { maxWaits: 0 })
  gate.close('it is gone')
  let turns = 0
  const turning = setInterval(() => turns++, 1)
  context.after(() => clearInterval(turning))
  await assert.rejects(side.settle(WANTED, reader()), { key: 'LEADER_AWAY' })
  assert.ok(turns > 0)
})

test('a read is held for --hold in all, and not when its client has gone', async (context) => {
  const { side, gate } = setUp(context, 'forward', { holdMs: 3_600_000 })
  gate.close('it is gone')
  const patient = reader()
  patient.heldUntilMs(0)
  await within(
    'it has waited',
    assert.rejects(side.settle(WANTED, patient), { key: 'LEADER_AWAY' }),
  )
  const gone = { ...reader(), isGone: true }
  await within('nobody waits', assert.rejects(side.settle(WANTED, gone), { key: 'LEADER_AWAY' }))
})

async function listening(context: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  context.after(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a failed read waits a moment for the leader, then gets the local answer', async (context) => {
  let onLocal: () => void = () => {}
  const local = await listening(context, (_request, response) => {
    onLocal()
    response.writeHead(500).end('read only')
  })
  const leader = await listening(context, (_request, response) => void response.end('written'))
  const application = new Application({
    url: `http://${local}`,
    node: 'node-r',
    maxConnections: 2,
    answerTimeoutMs: 60_000,
    log: pino({ level: 'silent' }),
    passes: new Passes(),
  })
  context.after(() => application.close())
  let opens = true
  const onHeld = () => void (opens && setImmediate(() => gate.open()))
  const parts = { leader, application, holdMs: 60_000, onHeld }
  const { side, gate, failedReads } = setUp(context, 'forward', parts)
  const replica = await listening(context, (request, response) => {
    side.serve(new Client(request, response)).catch((error) => response.destroy(error))
  })
  onLocal = () => gate.close('it hands over')
  assert.equal(await (await fetch(`http://${replica}/`)).text(), 'written')
  opens = false
  const given = await within('the local answer', fetch(`http://${replica}/`))
  assert.deepEqual([given.status, await given.text(), gate.held], [500, 'read only', 0])
  const { answered, away } = { answered: 0, away: 0, ...failedReads.report() }
  assert.deepEqual([answered, away], [1, 1])
})

test('past --stale-forwards a read is served here with a mark', async (context) => {
  const { side, did, now } = setUp(context, 'forward', { perSecond: 2 })
  for (let i = 0; i < 2; i++) assert.equal(await side.settle(WANTED, reader()), 'forward')
  assert.deepEqual(await side.settle(WANTED, reader()), { stale: '1-9' })
  now.canRead = false
  assert.equal(await side.settle(WANTED, reader()), 'forward')
  assert.deepEqual(did, ['forward', 'forward', 'bounded', 'forward'])
})

test('a read for a position that the leader lacks, too, is not forwarded', async (context) => {
  const made = { ...WANTED, positions: [{ epoch: 1, txid: 9, isSigned: false }] }
  const forwarding = setUp(context, 'forward')
  assert.deepEqual(await forwarding.side.settle(made, reader()), { stale: '1-9' })
  const refusing = setUp(context, 'refuse')
  await assert.rejects(refusing.side.settle(made, reader()), { key: 'STALE_READ' })
  assert.deepEqual([forwarding.did, refusing.did], [['serve'], ['refuse']])
})

test('a rate budget gives so many a second, and no more at once', () => {
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
