/** How far behind a replica reports itself, from what it hears and when that was true. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Body } from '../../proto/messages.ts'
import { LagTracker } from '../../src/replica/lag.ts'

function setUp(offsetMs = 0) {
  const clock = { nowMs: () => at.ms }
  const at = { ms: 1_000_000 }
  const lag = new LagTracker(clock)
  lag.onConnected(100)
  lag.onHeard(at.ms)
  lag.offset.add(at.ms, at.ms + offsetMs, at.ms)
  lag.onAt(5)
  return { lag, at, leaderMs: () => at.ms + offsetMs }
}

for (const offsetMs of [0, -600_000, 600_000]) {
  test(`a heartbeat counts from when it was sent, clocks ${offsetMs / 1000} s apart`, () => {
    const { lag, at, leaderMs } = setUp(offsetMs)
    const sentMs = leaderMs()
    lag.onLeaderAt(5, sentMs, 0)
    assert.equal(lag.lagMs(), 0)
    // The next one takes seven seconds to arrive.
    const second = leaderMs()
    at.ms += 7000
    lag.onHeard(at.ms)
    lag.onLeaderAt(5, second, 0)
    assert.equal(lag.staleMs(), 7000)
    assert.equal(lag.lagMs(), 7000)
    lag.onLeaderAt(5, leaderMs(), 0)
    assert.equal(lag.staleMs(), 0)
    assert.equal(lag.lagMs(), 0)
  })

  test(`a relay's news are as old as it says, clocks ${offsetMs / 1000} s apart`, () => {
    const { lag, at, leaderMs } = setUp(offsetMs)
    assert.equal(lag.staleMs(), Number.POSITIVE_INFINITY)
    lag.onLeaderAt(5, leaderMs(), 2500)
    assert.equal(lag.staleMs(), 2500, 'although the replica has just started')
    at.ms += 10_000
    lag.onHeard(at.ms)
    lag.onLeaderAt(5, leaderMs(), 3500)
    assert.equal(lag.staleMs(), 3500)
    assert.equal(lag.lagMs(), 3500, 'silent for more than three heartbeats')
    at.ms += 100
    lag.onHeard(at.ms)
    lag.onLeaderAt(5, leaderMs(), 20)
    assert.equal(lag.staleMs(), 20)
    assert.equal(lag.lagMs(), 0)
  })
}

test('the lag of the last batch shows for a moment, then 0', () => {
  const { lag, at, leaderMs } = setUp()
  const noticeMs = leaderMs()
  at.ms += 40
  lag.onHeard(at.ms)
  lag.onReceived(100, 6)
  lag.onApplied(6, { noticeMs, noticedMs: noticeMs, sentMs: leaderMs() }, at.ms, at.ms)
  lag.onLeaderAt(6, leaderMs(), 0)
  assert.equal(lag.recentLagMs, 40)
  at.ms += 3000
  lag.onHeard(at.ms)
  lag.onLeaderAt(6, leaderMs(), 0)
  assert.equal(lag.recentLagMs, 0)
})

function welcome(about: Partial<Body<'welcome'>>): Body<'welcome'> {
  return {
    db: 'd',
    node: 'a',
    cluster: 'c',
    instance: 'process-1',
    epoch: 1,
    incarnation: 'i1',
    term: 1,
    txid: 5,
    checksum: '',
    pageSize: 4096,
    pages: 1,
    version: '0',
    mode: 'resume',
    reason: '',
    contains: 'proven',
    source: 'a',
    sourceAddress: '',
    fileMode: 0o600,
    heartbeatMs: 100,
    ...about,
  }
}

test('a welcome proves nothing, the heartbeat that follows does', () => {
  const { lag, leaderMs } = setUp()
  lag.onWelcome(welcome({}))
  assert.equal(lag.summary().leaderTxid, 5)
  assert.equal(lag.staleMs(), Number.POSITIVE_INFINITY)
  lag.onLeaderAt(5, leaderMs(), 0)
  assert.equal(lag.staleMs(), 0)
})

test('commits that the leader announces before it captures them leave the replica behind', () => {
  const { lag, at, leaderMs } = setUp()
  lag.onWelcome(welcome({}))
  lag.onLeaderAt(5, leaderMs(), 0)
  for (let beat = 1; beat <= 40; beat++) {
    at.ms += 250
    lag.onHeard(at.ms)
    lag.onLeaderAt(506, leaderMs(), beat * 250)
  }
  assert.equal(lag.summary().txidLag, 501)
  assert.equal(lag.lagMs(), 10_000)
  assert.equal(lag.staleMs(), 10_000)
  // The first missing batch arrives, and a heartbeat that took longer than the others.
  lag.onReceived(100, 6)
  lag.onApplied(
    6,
    { noticeMs: leaderMs(), noticedMs: leaderMs(), sentMs: leaderMs() },
    at.ms,
    at.ms,
  )
  lag.onLeaderAt(6, leaderMs(), 0)
  assert.equal(lag.summary().leaderTxid, 506)
  assert.equal(lag.staleMs(), 10_000)
  lag.onReceived(100, 506)
  lag.onApplied(
    506,
    { noticeMs: leaderMs(), noticedMs: leaderMs(), sentMs: leaderMs() },
    at.ms,
    at.ms,
  )
  assert.equal(lag.lagMs(), 0)
  assert.equal(lag.staleMs(), 0)
})

const BEGINNINGS: readonly (readonly [string, Partial<Body<'welcome'>>, number])[] = [
  ['the same process, again', {}, 506],
  ['a relay', { node: 'relay', instance: 'process-2', txid: 4 }, 506],
  ['the next process of the leader', { instance: 'process-2' }, 5],
  ['another incarnation', { incarnation: 'i2' }, 5],
  ['another epoch', { epoch: 2 }, 5],
  ['another epoch, through a relay', { node: 'relay', epoch: 2 }, 0],
]

for (const [who, about, leaderTxid] of BEGINNINGS)
  test(`after a welcome of ${who} the leader stands at ${leaderTxid}`, () => {
    const { lag, leaderMs } = setUp()
    lag.onWelcome(welcome({}))
    lag.onLeaderAt(506, leaderMs(), 0)
    lag.onWelcome(welcome(about))
    assert.equal(lag.summary().leaderTxid, leaderTxid)
    lag.onAt(5)
    assert.equal(lag.staleMs(), Number.POSITIVE_INFINITY, 'what was told before proves nothing')
  })

test('a new connection measures the clock anew', () => {
  const { lag, at } = setUp(600_000)
  assert.equal(lag.offset.offsetMs, 600_000)
  lag.onConnected(100)
  assert.equal(lag.offset.offsetMs, 600_000, 'until the first measurement')
  lag.offset.add(at.ms - 50, at.ms, at.ms + 50)
  assert.equal(lag.offset.offsetMs, 0)
})

test('a slow way back makes no heartbeat younger than it is', () => {
  const { lag, at } = setUp()
  const aheadMs = -1
  lag.onConnected(100)
  for (let ping = 0; ping < 40; ping++) {
    const sentMs = at.ms
    const pongMs = at.ms + 0.5 + aheadMs
    at.ms += 200.5
    lag.onHeard(at.ms)
    lag.offset.add(sentMs, pongMs, at.ms)
    lag.onLeaderAt(5, pongMs, 0)
    assert.ok(lag.toldAgoMs >= 200, `the leader said it 200 ms ago, not ${lag.toldAgoMs}`)
    assert.ok(lag.toldAgoMs <= 201, 'and after it was asked')
  }
})

test('before a connection has measured the clock, nothing tells when a heartbeat was sent', () => {
  const { lag, at, leaderMs } = setUp(600_000)
  lag.onConnected(100)
  lag.onLeaderAt(5, leaderMs(), 0)
  assert.equal(lag.toldAgoMs, Number.POSITIVE_INFINITY)
  lag.offset.add(at.ms, leaderMs(), at.ms)
  lag.onLeaderAt(5, leaderMs(), 0)
  assert.equal(lag.toldAgoMs, 0)
})
