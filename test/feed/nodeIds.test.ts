/**
 * Two processes of one id, of which one is fed here and the other is told of by a replica: which is
 * told to end, when, and how.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Body } from '../../proto/messages.ts'
import { type IdHost, NodeIds } from '../../src/feed/nodeIds.ts'
import { BESIDE_MS } from '../../src/feed/processes.ts'
import { ReplicaList } from '../../src/feed/replicaList.ts'
import type { ReplicaSession } from '../../src/feed/replicaSession.ts'

const START_MS = 1_700_000_000_000

function setUp() {
  const clock = { ms: START_MS, nowMs: () => clock.ms }
  const replicas = new ReplicaList(clock, 'top')
  const ended: string[] = []
  const found: string[] = []
  const host: IdHost = {
    db: 'main',
    node: 'top',
    instance: 'of top',
    nowMs: clock.nowMs,
    source: () => ({ address: 'top:1' }),
    onTwins: ({ first, later }) => void found.push(`${first.instance} before ${later.instance}`),
  }
  const session = (node: string, instance: string, upMs: number): ReplicaSession =>
    ({
      node,
      instance,
      upSinceMs: clock.ms - upMs,
      lastSeenMs: clock.ms,
      state: 'streaming',
      advertise: `${instance}:1`,
      remoteAddress: '',
      terminate() {},
      fail: (error: Error) => void ended.push(`here ${instance}: ${error.message}`),
      tell: (_: string, twin: Body<'twin'>) =>
        void ended.push(`by ${node} ${twin.instance}: ${twin.address}`),
    }) as unknown as ReplicaSession
  const relay = session('relay', 'of relay', 0)
  replicas.connected(relay)
  const ids = new NodeIds(replicas)
  /**
   * The relay tells of the process of `n` for as long as it takes, once a second; the one here was
   * heard of `silentMs` before.
   */
  const run = (
    told: Partial<Body<'below'>>,
    here: ReplicaSession | undefined,
    silentMs: number,
  ): number => {
    const beganMs = clock.ms
    const below = { ...BELOW, ...told }
    while (ended.length === 0 && clock.ms - beganMs < 60_000) {
      if (here) Object.assign(here, { lastSeenMs: clock.ms - silentMs })
      ids.onBelow(relay, { ...below, upMs: below.upMs + clock.ms - beganMs }, host)
      clock.ms += 1000
    }
    return clock.ms - beganMs
  }
  return { clock, replicas, ids, host, session, run, ended, found }
}

const BELOW: Body<'below'> = {
  db: 'main',
  node: 'n',
  instance: 'below',
  upMs: 0,
  via: 'relay',
  address: 'below:1',
  epoch: 1,
  txid: 1,
  lagMs: 0,
  connected: true,
  silentMs: 0,
}

test('the later one is told to end once the time is over, whichever was heard of last', () => {
  const silentMs = fc.integer({ min: 0, max: 1500 })
  fc.assert(
    fc.property(silentMs, silentMs, fc.boolean(), (hereMs, belowMs, isHereFirst) => {
      const { replicas, session, run, ended, found } = setUp()
      const here = session('n', 'here', isHereFirst ? 50_000 : 10)
      replicas.connected(here)
      const tookMs = run({ upMs: isHereFirst ? 10 : 50_000, silentMs: belowMs }, here, hereMs)
      assert.ok(tookMs <= BESIDE_MS + 4000, `${tookMs} ms`)
      assert.deepEqual(found, [isHereFirst ? 'here before below' : 'below before here'])
      if (isHereFirst) assert.deepEqual(ended, ['by relay below: here:1'])
      else assert.match(ended.join(), /^here here: .* it was met at below:1$/)
    }),
  )
})

test('the one told to end is refused for as long as it tries, and no other process is', () => {
  const { clock, replicas, ids, host, session, run } = setUp()
  const here = session('n', 'here', 10)
  replicas.connected(here)
  run({ upMs: 50_000 }, here, 0)
  replicas.disconnected(here)
  const refused = (instance: string) => ids.holderOf({ node: 'n', instance, upMs: 1e6 }, host)
  assert.equal(refused('here'), 'below:1')
  assert.equal(refused('next'), undefined)
  clock.ms += 25_000
  assert.equal(refused('here'), 'below:1')
  clock.ms += 10_000
  assert.equal(refused('here'), undefined)
})

test('this node gives way to no replica below it, however long that has been up', () => {
  const { run, ended } = setUp()
  run({ node: 'top', upMs: 1e9 }, undefined, 0)
  assert.deepEqual(ended, ['by relay below: top:1'])
})

test('this very process, told of in a ring, and one that is away are no twins', () => {
  const { run, ended, replicas, session } = setUp()
  run({ node: 'top', instance: 'of top' }, undefined, 0)
  const here = session('n', 'here', 10)
  replicas.connected(here)
  run({ connected: false, instance: '' }, here, 0)
  assert.deepEqual(ended, [])
})
