/** From looks, once a second, to measurements: when it looks at what, and what takes several. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Link, ReplicaList } from '../../src/feed/replicaList.ts'
import type { ReplicaStatus } from '../../src/feed/replicaStatus.ts'
import { WalSampler } from '../../src/health/feedSampler.ts'
import { LeaderSampler } from '../../src/health/leaderSampler.ts'
import { type ReplicaSample, ReplicaSampler } from '../../src/health/replicaSampler.ts'
import type { ReadLock } from '../../src/sqlite/lockTable.ts'
import { LongReaders } from '../../src/sqlite/longReaders.ts'

const USUAL = 1000
const PASS = { complete: true, backfilledFrames: 1, durationMs: 5, pauseMs: 0, yielded: false }

function setUp() {
  const world = {
    locks: [] as ReadLock[] | undefined,
    looks: 0,
    links: [] as Link[],
    list: [] as ReplicaStatus[],
    nowMs: 1e6,
  }
  const readers = new LongReaders(
    () => {
      world.looks++
      return world.locks
    },
    () => 'x',
  )
  const list = { links: () => world.links, list: () => world.list } as unknown as ReplicaList
  return { world, readers, list }
}

const READER: ReadLock = { pid: 7, slot: 1, mark: 3 }

test('the sampler reads locks only while the WAL is over its bound and not at rest', () => {
  const { world, readers } = setUp()
  const wal = new WalSampler(readers)
  const look = (walBytes: number) => {
    world.nowMs += 1000
    return wal.look(walBytes, USUAL, world.nowMs).readers.length
  }
  for (let i = 0; i < 5; i++) look(900)
  assert.equal(world.looks, 0)
  world.locks = [READER]
  assert.deepEqual(
    [1001, 1002, 1003, 1004, 1005, 1006, 1007].map((bytes) => look(bytes)),
    [0, 0, 0, 0, 0, 1, 1],
  )
  for (let i = 0; i < 12; i++) look(1007)
  const atRest = world.looks
  assert.equal(look(1007), 0, 'emptied as far as that goes, and nothing is written')
  assert.equal(world.looks, atRest)
  wal.onCheckpoint(false)
  look(1007)
  assert.equal(world.looks, atRest + 1)
})

test('a stuck WAL of a leader, with a reader and without', () => {
  const { world, readers, list } = setUp()
  const watch = new LeaderSampler(list, readers)
  const look = () => {
    world.nowMs += 1000
    return watch
      .look({ walBytes: 2000, txid: 5 }, { usual: USUAL, most: USUAL }, world.nowMs)
      .map(({ code }) => code)
  }
  const looks = (count: number) => Array.from({ length: count }, look).at(-1)
  assert.deepEqual(looks(8), [], 'checkpoints empty it')
  watch.onPass({ ...PASS, complete: false }, world.nowMs)
  assert.deepEqual(looks(5), ['leader-disk'])
  world.locks = [READER]
  assert.deepEqual(looks(1), [])
  assert.deepEqual(looks(6), ['long-reader'])
  world.locks = undefined
  assert.deepEqual(looks(8), [], 'without the table of locks nothing is claimed')
})

test('slow checkpoints count while they come in a row, and not long after', () => {
  const { world, readers, list } = setUp()
  const watch = new LeaderSampler(list, readers)
  const codes = () =>
    watch
      .look({ walBytes: 1, txid: 5 }, { usual: USUAL, most: USUAL }, world.nowMs)
      .map(({ code }) => code)
  const slow = { ...PASS, durationMs: 900 }
  for (const pass of [slow, slow, PASS, slow, slow]) watch.onPass(pass, world.nowMs)
  assert.deepEqual(codes(), [])
  watch.onPass({ ...PASS, pauseMs: 300 }, world.nowMs)
  assert.deepEqual(codes(), ['leader-disk'])
  world.nowMs += 60_000
  assert.deepEqual(codes(), [])
})

test('a link is slow while its replica stays behind, not for a first copy or an old lag', () => {
  const { world, readers, list } = setUp()
  const watch = new LeaderSampler(list, readers)
  const link = { node: 'b', txid: 4, bufferedBytes: 10, takenBytes: 0, silentMs: 100, lagMs: 5000 }
  const looks = (given: Partial<Link>) => {
    let found: readonly string[] = []
    for (let i = 0; i < 6; i++) {
      world.nowMs += 1000
      world.links = [{ ...link, takenBytes: i * 700, ...given }]
      const causes = watch.look(
        { walBytes: 1, txid: 5 },
        { usual: USUAL, most: USUAL },
        world.nowMs,
      )
      found = causes.map(({ code, takenBytesPerSecond }) => `${code} ${takenBytesPerSecond}`)
    }
    return found
  }
  assert.deepEqual(looks({}), ['slow-link 700'])
  assert.deepEqual(looks({ txid: 5 }), [])
  assert.deepEqual(looks({ txid: 0 }), [])
  assert.deepEqual(looks({ lagMs: 20 }), [])
  assert.deepEqual(looks({ silentMs: 4000 }), ['link-down undefined'])
  assert.deepEqual(looks({ silentMs: 4000, txid: 0 }), [])
})

const LOOK: ReplicaSample = {
  follows: 'a',
  isRelayed: false,
  txid: 5,
  connected: true,
  silentMs: 100,
  lastError: '',
  isFirstCopy: false,
  isReplacing: false,
  pageSize: 4096,
  leaderPageSize: 4096,
  walBytes: 1,
  usualWalBytes: USUAL,
  queuedBytes: 0,
  lagMs: 0,
  sourceStaleMs: 0,
}

test('a replica measures late batches, time spent applying, and a lost connection', () => {
  const { world, readers, list } = setUp()
  const watch = new ReplicaSampler(list, readers)
  const looks = (given: Partial<ReplicaSample>, batch?: { applyMs: number; lagMs: number }) => {
    let found: readonly string[] = []
    for (let i = 0; i < 8; i++) {
      world.nowMs += 1000
      watch.onReceived(500)
      if (batch && i % 2 === 0) watch.onApplied(batch)
      found = watch.look({ ...LOOK, ...given }, world.nowMs).map(({ code }) => code)
    }
    return found
  }
  assert.deepEqual(looks({}, { applyMs: 1, lagMs: 3 }), [])
  assert.deepEqual(
    looks({}, { applyMs: 1, lagMs: 4000 }),
    ['slow-link'],
    'level after each batch, and late',
  )
  assert.deepEqual(looks({}, { applyMs: 2200, lagMs: 4000 }), ['apply-bound'])
  assert.deepEqual(looks({}), [], 'what was late then is over')
  assert.deepEqual(looks({ silentMs: 5000, lagMs: 9000 }), ['link-down'])
  assert.deepEqual(looks({ connected: false, silentMs: 9000, lagMs: 9000 }), ['leader-away'])
  assert.deepEqual(looks({ lagMs: 9000, queuedBytes: 1 }), ['apply-bound'])
})
