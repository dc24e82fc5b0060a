/**
 * One simulated cluster: a leader that an application writes, replicas, programs that read the
 * copies, and faults in between. Everything is drawn from the seed.
 */
import assert from 'node:assert/strict'
import { decode } from '../../proto/codec.ts'
import { TYPE_BY_CODE } from '../../proto/messages.ts'
import type { NodeRecord } from '../../src/cluster/nodeFile.ts'
import { createFileOps, type FileOps } from '../../src/platform/fileOps.ts'
import { Application, firstPages } from './application.ts'
import { CommittedStates } from './committedStates.ts'
import { Faults } from './faults.ts'
import { MemoryFiles } from './memoryFiles.ts'
import { MemorySqlite } from './memorySqlite.ts'
import { type Host, Network } from './network.ts'
import { Reader } from './reader.ts'
import { replacePlatform } from './replacedPlatform.ts'
import { NOBODY, type Owner, Scheduler } from './scheduler.ts'
import { SeededRandom } from './seededRandom.ts'
import { NodeProcess, SimulatedNode } from './simulatedNode.ts'
import { Trace } from './trace.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly replicas: number
  /** Simulated time with faults; it goes on until all is level. */
  readonly seconds: number
  readonly hasFaults: boolean
}

export interface SimulationResult {
  readonly trace: string
  readonly elapsedMs: number
  readonly events: number
  readonly commits: number
  readonly error: unknown
}

const CLUSTER = 'cluster-simulated'
/** Until all copies are level once the faults have ended. */
const HEALED_MS = 60_000
/** What ends a connection while nothing is wrong but the network and a process that died. */
const EXPECTED: ReadonlySet<string> = new Set([
  'LEADER_UNREACHABLE',
  'NODE_ID_TAKEN',
  'STALLED',
  'STARTING',
  'STOPPING',
])
const LOOK_MS = 100
const ACK_WAIT_MS = 2000
const ACK_AT = [...TYPE_BY_CODE].find(([, type]) => type === 'ack')?.[0]
const TYPE_AT = 13

/** Of one seed. What goes wrong is in the result, with the trace. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const world = new World(options)
  const restore = world.install()
  let error: unknown
  try {
    await world.run()
  } catch (thrown) {
    error = thrown
  } finally {
    restore()
  }
  const { scheduler, trace, states } = world
  return {
    trace: trace.text,
    elapsedMs: scheduler.elapsedMs,
    events: scheduler.count,
    commits: states.last,
    error,
  }
}

/** What is known of a copy from outside. */
interface Known {
  txid: number
  commit: number
  acked: number
  readonly reader: Reader
}

export class World {
  readonly scheduler = new Scheduler()
  readonly trace = new Trace(this.scheduler)
  readonly states: CommittedStates
  readonly nodes: readonly SimulatedNode[]
  readonly network: Network
  readonly #options: SimulationOptions
  readonly #random: SeededRandom
  readonly #files: MemoryFiles
  readonly #ops: FileOps
  readonly #databases = new Map<string, MemorySqlite>()
  readonly #known = new Map<string, Known>()
  /** The state checksum of each position that was captured. */
  readonly #captured = new Map<number, string>()
  readonly #pageSize: number
  #application: Application | undefined
  #failure: unknown

  constructor(options: SimulationOptions) {
    const { seed, replicas } = options
    this.#options = options
    this.#random = new SeededRandom(seed, 1)
    const { scheduler, trace } = this
    const minMs = this.#random.pick([0.05, 0.5, 5])
    const times = { minMs, maxMs: minMs * this.#random.pick([1.5, 4, 20]) }
    this.network = new Network(scheduler, new SeededRandom(seed, 2), trace, times)
    this.network.onMessage = (from, _to, bytes) => this.#onMessage(from, bytes)
    const proc = {
      '/proc/locks': () => this.#locks(),
      '/proc/self/ns/pid': () => 'pid:[4026531836]',
      '/proc/sys/kernel/random/boot_id': () =>
        `${'1'.padStart(8, '0')}-0000-0000-0000-000000000000`,
    }
    const onWrite = (owner: Owner) => this.#onWrite(owner)
    this.#files = new MemoryFiles(scheduler, new SeededRandom(seed, 3), proc, onWrite)
    this.#ops = createFileOps()
    this.#pageSize = this.#random.pick([512, 1024, 4096])
    this.states = new CommittedStates(firstPages(this.#random.whole(4, 60), this.#pageSize))
    const ids = ['leader', ...Array.from({ length: replicas }, (_, i) => `replica${i + 1}`)]
    this.nodes = ids.map((id) => this.#newNode(id, id === 'leader' ? 'leader' : 'replica'))
  }

  /** Puts the simulated world in place of the system; gives what takes it back. */
  install(): () => void {
    return replacePlatform({
      scheduler: this.scheduler,
      random: new SeededRandom(this.#options.seed, 0),
      files: this.#files,
      network: this.network,
      database: (path) => this.#database(path),
    })
  }

  async run(): Promise<void> {
    this.#makeDatabase()
    for (const node of this.nodes) node.start()
    this.#application?.start()
    this.#readNow()
    this.#waitForAcks()
    const endMs = 1000 * this.#options.seconds
    const faults = new Faults(this, new SeededRandom(this.#options.seed, 5))
    if (this.#options.hasFaults) faults.start()
    await this.#runUntil(endMs)
    faults.end()
    this.#application?.stop()
    await this.#runUntil(endMs + HEALED_MS, () => this.#isLevel())
    this.#requireLevel()
  }

  /** A node of which any process may die. */
  get replicas(): readonly SimulatedNode[] {
    return this.nodes.slice(1)
  }

  get leader(): SimulatedNode {
    return this.nodes[0]
  }

  async #runUntil(untilMs: number, isDone = () => false): Promise<void> {
    const { scheduler } = this
    while (scheduler.elapsedMs < untilMs && !isDone()) {
      await scheduler.run(Math.min(untilMs, scheduler.elapsedMs + LOOK_MS))
      if (this.#failure !== undefined) throw this.#failure
    }
  }

  #makeDatabase(): void {
    const { path } = this.leader
    const file = this.#files.make(path)
    this.#files.write(file, Buffer.concat([...this.states.pages]), 0)
    const { scheduler, trace, states } = this
    const random = new SeededRandom(this.#options.seed, 4)
    const parts = { scheduler, random, trace, ops: this.#ops, states }
    this.#application = new Application(this.#database(path), parts)
  }

  #newNode(id: string, role: 'leader' | 'replica'): SimulatedNode {
    const { scheduler, network, trace } = this
    const first: NodeRecord = {
      format: 2,
      node: id,
      cluster: role === 'leader' ? CLUSTER : '',
      role,
      epoch: 0,
      term: 0,
      txidCeiling: 0,
      standby: false,
      leader: role === 'leader' ? '' : 'leader:7400',
      givenLeader: '',
      lineage: [],
      incarnation: '',
      members: [],
    }
    const site = {
      scheduler,
      random: this.#random,
      network,
      trace,
      ops: this.#ops,
      onCaptured: (txid: number, checksum: string) => this.#onCaptured(txid, checksum),
      onApplied: (node: SimulatedNode) => this.#onApplied(node),
      onSynced: (node: SimulatedNode) => this.#onSynced(node),
      onUp: (node: SimulatedNode) => this.#onUp(node),
      onTrouble: (node: SimulatedNode, what: string) => this.#onTrouble(node, what),
      onFatal: (node: SimulatedNode, error: Error) =>
        this.#fail(new Error(`${node.id} has failed: ${error.message}`, { cause: error })),
    }
    const node = new SimulatedNode(id, site, first, this.#random.between(-500, 500))
    const reader = new Reader(this.#database(node.path), this.states)
    this.#known.set(id, { txid: 0, commit: 0, acked: 0, reader })
    this.#files.make(`/${id}`, 0o755, true)
    this.#files.make(node.folder, 0o700, true)
    return node
  }

  #database(path: string): MemorySqlite {
    const known = this.#databases.get(path)
    if (known) return known
    const database = new MemorySqlite(path, this.#files, new SeededRandom(1, 9), this.#ops)
    this.#databases.set(path, database)
    return database
  }

  #knownOf(node: SimulatedNode): Known {
    const known = this.#known.get(node.id)
    assert.ok(known)
    return known
  }

  #fail(error: unknown): void {
    this.#failure ??= error
  }

  /** Of a process that has died nothing counts. */
  #onTrouble(node: SimulatedNode, what: string): void {
    if (this.scheduler.owner.isAlive && !EXPECTED.has(what))
      this.#fail(new Error(`${node.id} tells of ${what}`))
  }

  /** What it throws ends the simulation, wherever it is called from. */
  #check(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fail(error)
    }
  }

  #onCaptured(txid: number, checksum: string): void {
    this.#check(() => {
      assert.notEqual(this.states.numberOf(checksum), undefined, `captured ${txid} is no commit`)
      assert.equal(this.#captured.get(txid) ?? checksum, checksum, `captured ${txid} twice`)
      this.#captured.set(txid, checksum)
    })
  }

  #onApplied(node: SimulatedNode): void {
    this.#check(() => {
      const known = this.#knownOf(node)
      const { txid } = this.#standing(node)
      assert.ok(txid > known.txid, `${node.id} applied ${txid} after ${known.txid}`)
      this.#onVisible(node, known)
    })
  }

  #onSynced(node: SimulatedNode): void {
    this.#check(() => this.#onVisible(node, this.#knownOf(node)))
  }

  /** What it showed or acknowledged before it died is in its files. */
  #onUp(node: SimulatedNode): void {
    const status = node.process?.replica?.status
    if (!status?.hasCopy) return
    const { commit, acked } = this.#knownOf(node)
    const now = this.states.numberOf(status.checksum) ?? -1
    const before = Math.max(commit, acked)
    this.#check(() => assert.ok(now >= before, `${node.id} had ${before} and comes up with ${now}`))
  }

  #onVisible(node: SimulatedNode, known: Known): void {
    const { txid, checksum } = this.#standing(node)
    const commit = this.states.numberOf(checksum)
    assert.ok(commit !== undefined, `${node.id} shows at ${txid} what was never committed`)
    assert.ok(commit >= known.commit, `${node.id} went back from ${known.commit} to ${commit}`)
    const captured = this.#captured.get(txid)
    assert.equal(checksum, captured ?? checksum, `${node.id} has another state at ${txid}`)
    known.txid = txid
    known.commit = commit
    this.trace.add(node.id, `is at ${txid}, commit ${commit}`)
  }

  #standing(node: SimulatedNode) {
    const status = node.process?.replica?.status
    assert.ok(status, `${node.id} is no replica`)
    return status
  }

  #onMessage(from: Host, bytes: Buffer): void {
    if (bytes[TYPE_AT] !== ACK_AT || !(from instanceof NodeProcess)) return
    const message = decode(bytes)
    const node = this.nodes.find(({ address }) => address === from.address)
    if (message.type !== 'ack' || !node || message.body.checksum === '') return
    const commit = this.states.numberOf(message.body.checksum)
    const known = this.#knownOf(node)
    this.#check(() => assert.ok(commit !== undefined, `${node.id} acknowledged no commit`))
    known.acked = Math.max(known.acked, commit ?? 0)
  }

  #onWrite(owner: Owner): void {
    if (!(owner instanceof NodeProcess)) return
    this.nodes.find(({ address }) => address === owner.address)?.onWrite(owner)
  }

  /** Programs read the copies, for a while each. */
  #readNow(): void {
    const { scheduler } = this
    for (const node of this.replicas)
      if (this.#random.isTrue(0.5)) this.#check(() => this.#readOnce(node))
    scheduler.after(this.#random.between(50, 800), () => this.#readNow(), NOBODY)
  }

  #readOnce(node: SimulatedNode): void {
    const { reader, acked } = this.#knownOf(node)
    if (reader.isReading) return reader.end()
    // Before its first copy there is nothing to read.
    if (!this.#files.at(node.path)) return
    reader.begin()
    assert.ok(
      reader.newest >= acked,
      `${node.id} acknowledged commit ${acked}, and a reader sees ${reader.newest}`,
    )
    if (this.#random.isTrue(0.8)) reader.end()
  }

  /** A client waits now and then until replicas hold what it has written. */
  #waitForAcks(): void {
    const { scheduler } = this
    const { process } = this.leader
    const leader = process?.leader
    if (process && leader)
      scheduler.as(process, () => {
        const { epoch, txid } = leader.position
        const wanted = { replicas: 1, durable: this.#random.isTrue(0.3) }
        void leader.acknowledgements.wait({ epoch, txid }, wanted, ACK_WAIT_MS)
      })
    scheduler.after(this.#random.between(20, 500), () => this.#waitForAcks(), NOBODY)
  }

  #isLevel(): boolean {
    const leader = this.leader.process?.leader
    if (leader?.position.txid === undefined || leader.status.checksum !== this.states.checksum)
      return false
    return this.replicas.every((node) => {
      const status = node.process?.replica?.status
      return status?.state === 'streaming' && status.checksum === this.states.checksum
    })
  }

  #requireLevel(): void {
    const leader = this.leader.process?.leader
    assert.equal(leader?.status.checksum, this.states.checksum, 'capture has not come to the end')
    for (const node of this.replicas) {
      const { txid, epoch, checksum, state } = this.#standing(node)
      assert.equal(state, 'streaming', `${node.id} is not fed`)
      assert.deepEqual(
        { epoch, txid, checksum },
        {
          epoch: leader?.position.epoch,
          txid: leader?.position.txid,
          checksum: this.states.checksum,
        },
        `${node.id} is not where the leader is`,
      )
      const { reader } = this.#knownOf(node)
      if (reader.isReading) reader.end()
      reader.begin()
      assert.deepEqual(reader.images(), this.states.pages, `${node.id} has other pages`)
      reader.end()
    }
    this.trace.add('world', `all are level at commit ${this.states.last}`)
  }

  #locks(): string {
    const ofNode = (owner: Owner) => (owner instanceof NodeProcess ? process.pid : process.pid + 1)
    return [...this.#databases.values()].map((database) => database.locks(ofNode)).join('')
  }
}
