/**
 * Members that exchange their trust records, in a simulated time: what is lost, who is away, and
 * how long it takes until all know.
 */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { type TestContext, test } from 'node:test'
import pino from 'pino'
import type { Member } from '../../src/cluster/nodeRecord.ts'
import {
  withMember,
  withoutMember,
  withoutToken,
  withToken,
} from '../../src/cluster/trustChanges.ts'
import { TRUST_EXCHANGE_LIMITS, TrustExchange } from '../../src/cluster/trustExchange.ts'
import type { TrustFileEvents } from '../../src/cluster/trustFile.ts'
import { isSameTrust, mergeTrust } from '../../src/cluster/trustMerge.ts'
import {
  emptyTrust,
  isRemovedKey,
  isRemovedNode,
  type TrustRecord,
} from '../../src/cluster/trustRecord.ts'
import { WalcastError } from '../../src/errors.ts'
import { replaceRandom } from '../../src/platform/random.ts'
import { delay, replaceTime, wallMs } from '../../src/platform/time.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SeededRandom } from '../simulation/seededRandom.ts'

const CLUSTER = 'cluster-1'
const LOG = pino({ level: 'silent' })
const SECOND_MS = 1000
const DAY_MS = 86_400_000
const fingerprint = (index: number) => index.toString(16).padStart(64, '0')

/** A trust file without a disk. */
class MemoryFile extends EventEmitter<TrustFileEvents> {
  record: TrustRecord

  constructor(record: TrustRecord) {
    super()
    this.record = record
  }

  async learn(theirs: TrustRecord, from: string): Promise<void> {
    this.become(mergeTrust(this.record, theirs), from)
  }

  become(now: TrustRecord, from = ''): void {
    const before = this.record
    this.record = now
    if (!isSameTrust(before, now)) this.emit('changed', { before, now, from })
  }
}

interface SimulatedMember {
  readonly node: string
  readonly file: MemoryFile
  exchange: TrustExchange
  isDown: boolean
  /** What it answers in place of the truth. */
  answer: ((record: TrustRecord) => TrustRecord) | undefined
}

class Cluster {
  readonly scheduler = new Scheduler()
  readonly random: SeededRandom
  readonly nodes: SimulatedMember[] = []
  /** Pairs that do not reach each other: `a b`. */
  readonly cut = new Set<string>()
  lossShare = 0
  calls = 0
  most = 0
  #underWay = 0

  constructor(t: TestContext, count: number, seed: number) {
    this.random = new SeededRandom(seed)
    const restorers = [replaceTime(this.scheduler), replaceRandom(this.random)]
    t.after(() => {
      for (const { exchange } of this.nodes) exchange.stop()
      for (const restore of restorers) restore()
    })
    const all = Array.from({ length: count }, (_, index) => index).reduce(
      (record, index) =>
        withMember(
          record,
          { fingerprint: fingerprint(index), node: `node-${index}`, address: `10.0.0.${index}:1` },
          wallMs(),
        ),
      emptyTrust(CLUSTER),
    )
    for (let index = 0; index < count; index++) {
      const file = new MemoryFile(all)
      const node = `node-${index}`
      const exchange = this.#exchangeOf(node, file)
      this.nodes.push({ node, file, exchange, isDown: false, answer: undefined })
    }
  }

  run(forMs: number): Promise<void> {
    return this.scheduler.run(this.scheduler.elapsedMs + forMs)
  }

  change(index: number, change: (record: TrustRecord, nowMs: number) => TrustRecord): void {
    const { file } = this.nodes[index]
    file.become(change(file.record, wallMs()))
  }

  /** What it remembers of others is gone. */
  restart(index: number): void {
    const member = this.nodes[index]
    member.exchange.stop()
    member.exchange = this.#exchangeOf(member.node, member.file)
  }

  agreed(indexes = this.nodes.keys()): boolean {
    const records = [...indexes].map((index) => this.nodes[index].file.record)
    return records.every((record) => isSameTrust(record, records[0]))
  }

  /** Runs until all agree. Returns how long it took, ms. */
  async untilAgreed(withinMs: number, indexes?: number[]): Promise<number> {
    const beganMs = this.scheduler.elapsedMs
    while (!this.agreed(indexes?.values())) {
      assert.ok(this.scheduler.elapsedMs < beganMs + withinMs, 'they do not agree in time')
      await this.run(10)
    }
    return this.scheduler.elapsedMs - beganMs
  }

  #exchangeOf(node: string, file: MemoryFile): TrustExchange {
    return new TrustExchange({
      file,
      log: LOG,
      limits: TRUST_EXCHANGE_LIMITS,
      isReady: () => true,
      members: () =>
        file.record.members
          .filter((member) => member.node !== node && !isRemovedNode(file.record, member.node))
          .map((member) => ({ node: member.node, address: member.address })),
      exchange: (member, record) => this.#call(node, member, record),
    })
  }

  async #call(from: string, to: Member, record: TrustRecord): Promise<TrustRecord> {
    this.calls++
    this.most = Math.max(this.most, ++this.#underWay)
    try {
      const other = this.nodes.find(({ node }) => node === to.node)
      await delay(this.random.between(1, 20))
      const isCut = this.cut.has(`${from} ${to.node}`) || this.cut.has(`${to.node} ${from}`)
      const isDown = this.nodes.some(({ node, isDown }) => isDown && node === from)
      if (!other || other.isDown || isDown || isCut) throw new WalcastError('NODE_UNREACHABLE', {})
      if (this.random.isTrue(this.lossShare)) throw new Error('the question was lost')
      if (other.answer) return other.answer(record)
      const answer = await other.exchange.take(from, record)
      await delay(this.random.between(1, 20))
      if (this.random.isTrue(this.lossShare)) throw new Error('the answer was lost')
      return answer
    } finally {
      this.#underWay--
    }
  }
}

const token = (index: number) => ({
  id: `token-${String(index).padStart(4, '0')}`,
  hash: fingerprint(index),
  role: 'read' as const,
  note: '',
  createdAt: 1,
})

test('a change reaches all members at once, whoever makes it', async (t) => {
  const cluster = new Cluster(t, 7, 1)
  cluster.change(3, (record, nowMs) => withToken(record, token(1), nowMs))
  assert.ok((await cluster.untilAgreed(SECOND_MS)) < 200)
  await cluster.run(SECOND_MS)
  cluster.change(5, (record, nowMs) => withoutToken(record, token(1).id, nowMs))
  assert.ok((await cluster.untilAgreed(SECOND_MS)) < 200)
  assert.equal(cluster.nodes[0].file.record.tokens.length, 0)
})

test('several changes at one moment go out together', async (t) => {
  const cluster = new Cluster(t, 5, 2)
  for (let index = 0; index < 50; index++)
    cluster.change(0, (record, nowMs) => withToken(record, token(index), nowMs))
  await cluster.untilAgreed(SECOND_MS)
  assert.ok(cluster.calls <= 5 * 4, `${cluster.calls} calls`)
})

test('members that agree ask each other now and then, and no more', async (t) => {
  const cluster = new Cluster(t, 4, 3)
  cluster.change(0, (record, nowMs) => withToken(record, token(1), nowMs))
  await cluster.run(10 * SECOND_MS)
  cluster.calls = 0
  await cluster.run(600 * SECOND_MS)
  const rounds = (4 * 600 * SECOND_MS) / TRUST_EXCHANGE_LIMITS.roundMs
  assert.ok(cluster.calls <= 2 * rounds, `${cluster.calls} calls`)
  assert.ok(cluster.calls >= rounds / 2, `${cluster.calls} calls`)
})

test('a member that was away for days learns what was removed', async (t) => {
  const cluster = new Cluster(t, 4, 4)
  cluster.nodes[3].isDown = true
  // The node that makes the changes, such as the leader, goes down as well.
  cluster.change(0, (record, nowMs) => withoutMember(record, fingerprint(2), '', nowMs))
  cluster.change(0, (record, nowMs) => withToken(record, token(1), nowMs))
  await cluster.untilAgreed(SECOND_MS, [0, 1])
  cluster.nodes[0].isDown = true
  await cluster.run(3 * DAY_MS)
  assert.ok(!isRemovedKey(cluster.nodes[3].file.record, fingerprint(2)))
  cluster.nodes[3].isDown = false
  cluster.restart(3)
  const tookMs = await cluster.untilAgreed(10 * SECOND_MS, [1, 3])
  assert.ok(isRemovedKey(cluster.nodes[3].file.record, fingerprint(2)))
  assert.ok(tookMs <= 2 * TRUST_EXCHANGE_LIMITS.startMs, `${tookMs} ms`)
})

test('a member that is back and tells its digest is told at once', async (t) => {
  const cluster = new Cluster(t, 3, 5)
  cluster.nodes[2].isDown = true
  cluster.change(0, (record, nowMs) => withToken(record, token(1), nowMs))
  await cluster.run(DAY_MS)
  cluster.nodes[2].isDown = false
  const failed = cluster.calls
  await cluster.run(TRUST_EXCHANGE_LIMITS.maxRetryMs)
  assert.ok(cluster.calls > failed && cluster.agreed(), 'it is asked now and then')
  cluster.nodes[2].isDown = true
  cluster.change(0, (record, nowMs) => withToken(record, token(2), nowMs))
  await cluster.run(DAY_MS)
  cluster.nodes[2].isDown = false
  const [asker, , back] = cluster.nodes
  asker.exchange.onDigest(back.node, back.exchange.digest)
  assert.ok((await cluster.untilAgreed(SECOND_MS)) < 200)
  const { calls } = cluster
  asker.exchange.onDigest(back.node, back.exchange.digest)
  asker.exchange.onDigest('a stranger', 'ab'.repeat(16))
  asker.exchange.onDigest(back.node, '')
  await cluster.run(SECOND_MS)
  assert.equal(cluster.calls, calls, 'nothing to tell')
})

test('both sides of a partition change, and agree when it heals', async (t) => {
  const cluster = new Cluster(t, 6, 6)
  for (const left of [0, 1, 2])
    for (const right of [3, 4, 5]) cluster.cut.add(`node-${left} node-${right}`)
  cluster.change(0, (record, nowMs) => withToken(record, token(1), nowMs))
  cluster.change(1, (record, nowMs) => withoutMember(record, fingerprint(5), '', nowMs))
  cluster.change(4, (record, nowMs) => withToken(record, token(2), nowMs))
  cluster.change(3, (record, nowMs) =>
    withMember(
      record,
      { fingerprint: fingerprint(5), node: 'node-5', address: '10.0.0.77:1' },
      nowMs + DAY_MS,
    ),
  )
  await cluster.run(3600 * SECOND_MS)
  assert.ok(cluster.agreed([0, 1, 2].values()) && cluster.agreed([3, 4].values()))
  cluster.cut.clear()
  await cluster.untilAgreed(2 * TRUST_EXCHANGE_LIMITS.maxRetryMs, [0, 1, 2, 3, 4])
  const { record } = cluster.nodes[0].file
  assert.equal(record.tokens.length, 2)
  assert.ok(isRemovedKey(record, fingerprint(5)), 'the removal wins over what came later')
})

test('lost questions and answers delay, and lose nothing', async (t) => {
  for (let seed = 10; seed < 20; seed++) {
    const cluster = new Cluster(t, 5, seed)
    cluster.lossShare = 0.4
    for (let step = 0; step < 20; step++) {
      const index = cluster.random.whole(0, 4)
      cluster.change(index, (record, nowMs) => withToken(record, token(step), nowMs))
      if (cluster.random.isTrue(0.2)) cluster.restart(cluster.random.whole(0, 4))
      await cluster.run(cluster.random.between(0, 500))
    }
    await cluster.untilAgreed(600 * SECOND_MS)
    assert.equal(cluster.nodes[0].file.record.tokens.length, 20)
    for (const { exchange } of cluster.nodes) exchange.stop()
  }
})

test('a member that answers nonsense costs an attempt now and then', async (t) => {
  const cluster = new Cluster(t, 4, 7)
  const answers: ((record: TrustRecord) => TrustRecord)[] = [
    () => emptyTrust('cluster-2'),
    () => {
      throw new Error('it is not JSON')
    },
    // It never has what it was told.
    () => emptyTrust(CLUSTER),
  ]
  for (const answer of answers) {
    cluster.nodes[3].answer = answer
    cluster.change(0, (record, nowMs) => withToken(record, token(cluster.calls), nowMs))
    await cluster.untilAgreed(SECOND_MS, [0, 1, 2])
    await cluster.run(300 * SECOND_MS)
    cluster.calls = 0
    await cluster.run(3600 * SECOND_MS)
    const rounds = (4 * 3600 * SECOND_MS) / TRUST_EXCHANGE_LIMITS.roundMs
    const attempts = (3 * 3600 * SECOND_MS) / (TRUST_EXCHANGE_LIMITS.maxRetryMs / 2)
    assert.ok(cluster.calls <= 2 * (rounds + attempts), `${cluster.calls} calls`)
  }
  assert.equal(cluster.nodes[0].file.record.cluster, CLUSTER)
})

test('few exchanges are under way at once, also when many members do not answer', async (t) => {
  const cluster = new Cluster(t, 60, 8)
  for (const member of cluster.nodes.slice(1)) {
    member.isDown = true
    member.exchange.stop()
  }
  cluster.change(0, (record, nowMs) => withToken(record, token(1), nowMs))
  await cluster.run(60 * SECOND_MS)
  assert.equal(cluster.most, TRUST_EXCHANGE_LIMITS.atOnce)
  assert.ok(cluster.calls >= 59)
})

test('a removed member is told nothing more', async (t) => {
  const cluster = new Cluster(t, 3, 9)
  cluster.change(0, (record, nowMs) => withoutMember(record, fingerprint(2), '', nowMs))
  await cluster.untilAgreed(SECOND_MS, [0, 1])
  cluster.nodes[2].exchange.stop()
  const before = cluster.nodes[2].file.record
  cluster.change(1, (record, nowMs) => withToken(record, token(1), nowMs))
  await cluster.run(DAY_MS / 24)
  assert.equal(cluster.nodes[2].file.record, before)
})
