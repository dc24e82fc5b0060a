/**
 * One simulated cluster: nodes of which one leads, an application that writes there, programs that
 * read the copies, and faults in between. Everything is drawn from the seed.
 */
import type { NodeRecord } from '../../src/cluster/nodeRecord.ts'
import { createFileOps, type FileOps } from '../../src/platform/fileOps.ts'
import { firstPages } from './application.ts'
import { Applications } from './applications.ts'
import { CommittedStates } from './committedStates.ts'
import { Faults } from './faults.ts'
import { LeasedWrites } from './leasedWrites.ts'
import { LeaseFaults } from './leaseFaults.ts'
import { LockService } from './lockService.ts'
import { MemoryFiles } from './memoryFiles.ts'
import { MemorySqlite } from './memorySqlite.ts'
import { Network } from './network.ts'
import { NodeProcess } from './nodeProcess.ts'
import { NodeRequests } from './nodeRequests.ts'
import { Operator } from './operator.ts'
import { replacePlatform } from './replacedPlatform.ts'
import { NOBODY, type Owner, Scheduler } from './scheduler.ts'
import { SeededRandom } from './seededRandom.ts'
import { SimulatedNode } from './simulatedNode.ts'
import { Trace } from './trace.ts'
import { Witness } from './witness.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly nodes: number
  /** Simulated time with faults; it goes on until all is level. */
  readonly seconds: number
  readonly hasFaults: boolean
  /** Whether leadership moves. */
  readonly hasMoves: boolean
  /** Whether the nodes fail over by themselves. */
  readonly hasElection: boolean
}

export interface SimulationResult {
  readonly trace: string
  readonly elapsedMs: number
  readonly events: number
  readonly commits: number
  /** Of nodes that fail over by themselves: how often another one came to let writes in. */
  readonly failovers: number
  /** What went wrong; undefined when nothing did. */
  readonly error: unknown
}

const FIRST_LEADER = 'node1:7400'
const CLUSTER = 'cluster-simulated'
/** Until all copies are level once the faults have ended. */
const HEALED_MS = 60_000
const LOOK_MS = 100
const ACK_WAIT_MS = 2000
/** Of a monotonic clock, with `hasElection`: any two differ by 5 % at most. */
const CLOCK_RATES = [0.975, 1.025] as const
const BOOT_ID = '00000001-0000-0000-0000-000000000000\n'

/** One seed. */
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
  const { scheduler, trace, states, leased } = world
  const failovers = leased?.moves ?? 0
  const { elapsedMs, count: events } = scheduler
  return { trace: trace.text, elapsedMs, events, commits: states.last, failovers, error }
}

export class World {
  readonly scheduler = new Scheduler()
  readonly trace = new Trace(this.scheduler)
  readonly network: Network
  readonly requests: NodeRequests
  readonly nodes: readonly SimulatedNode[]
  readonly states: CommittedStates
  readonly applications: Applications
  readonly witness: Witness
  /** Both undefined when operators alone decide who leads. */
  readonly lockService: LockService | undefined
  readonly leased: LeasedWrites | undefined
  readonly #options: SimulationOptions
  readonly #random: SeededRandom
  readonly #files: MemoryFiles
  readonly #ops: FileOps = createFileOps()
  #rateOfClock = () => 1
  readonly #databases = new Map<string, MemorySqlite>()

  constructor(options: SimulationOptions) {
    const { seed, nodes } = options
    const { scheduler, trace } = this
    this.#options = options
    this.#random = new SeededRandom(seed, 1)
    const minMs = this.#random.pick([0.05, 0.5, 5])
    const times = { minMs, maxMs: minMs * this.#random.pick([1.5, 4, 20]) }
    this.network = new Network(scheduler, new SeededRandom(seed, 2), trace, times)
    this.requests = new NodeRequests(this.network, new SeededRandom(seed, 6), trace)
    const onWrite = (owner: Owner) => {
      if (owner instanceof NodeProcess) owner.node.onWrite(owner)
    }
    this.#files = new MemoryFiles(scheduler, new SeededRandom(seed, 3), this.#proc(), onWrite)
    const pageSize = this.#random.pick([512, 1024, 4096])
    this.states = new CommittedStates(firstPages(this.#random.whole(4, 60), pageSize))
    this.witness = new Witness(
      this.states,
      trace,
      (node) => this.#database(node.path),
      options.hasElection,
    )
    this.network.onMessage = this.witness.onMessage
    if (options.hasElection) {
      const rates = new SeededRandom(seed, 8)
      this.#rateOfClock = () => rates.between(...CLOCK_RATES)
      const service = [scheduler, new SeededRandom(seed, 9), trace, this.#rateOfClock()] as const
      this.lockService = new LockService(...service)
      this.leased = new LeasedWrites(this.states)
    }
    this.nodes = Array.from({ length: nodes }, (_, i) => this.#newNode(`node${i + 1}`, i === 0))
    this.applications = this.#newApplications()
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
    const { seed, seconds, hasFaults, hasMoves } = this.#options
    this.#begin()
    const operator = new Operator(this, new SeededRandom(seed, 7))
    if (hasMoves) operator.start()
    const faults = new Faults(this, new SeededRandom(seed, 5))
    const { lockService } = this
    const leaseFaults = lockService && new LeaseFaults(this, lockService, new SeededRandom(seed, 4))
    if (hasFaults) faults.start()
    if (hasFaults) leaseFaults?.start()
    await this.#runUntil(1000 * seconds)
    faults.end()
    leaseFaults?.end()
    operator.end()
    this.applications.end()
    await this.#runUntil(1000 * seconds + HEALED_MS, () => this.#isLevel())
    this.witness.requireLevel(this.nodes)
  }

  /** Those that lead now. */
  get leaders(): readonly SimulatedNode[] {
    return this.nodes.filter(({ process }) => process?.leader)
  }

  async #runUntil(untilMs: number, isDone = () => false): Promise<void> {
    const { scheduler } = this
    while (scheduler.elapsedMs < untilMs && !isDone()) {
      await scheduler.run(Math.min(untilMs, scheduler.elapsedMs + LOOK_MS))
      if (this.witness.failure !== undefined) throw this.witness.failure
    }
  }

  #begin(): void {
    const { path } = this.nodes[0]
    this.#files.write(this.#files.make(path), Buffer.concat([...this.states.pages]), 0)
    this.applications.start()
    for (const node of this.nodes) node.start()
    this.#readNow()
    this.#waitForAcks()
  }

  #newApplications(): Applications {
    const { scheduler, trace, states, witness, nodes, leased } = this
    const { seed } = this.#options
    return new Applications(
      {
        ...{ scheduler, trace, states, witness, leased },
        ops: this.#ops,
        database: (node) => this.#database(node.path),
        randomOf: (node) => new SeededRandom(seed, 20 + nodes.indexOf(node)),
      },
      nodes[0],
    )
  }

  #newNode(id: string, isFirst: boolean): SimulatedNode {
    const { scheduler, network, trace } = this
    const first: NodeRecord = {
      format: 2,
      node: id,
      cluster: isFirst ? CLUSTER : '',
      role: isFirst ? 'leader' : 'replica',
      epoch: 0,
      term: 0,
      txidCeiling: 0,
      standby: false,
      leader: isFirst ? '' : FIRST_LEADER,
      givenLeader: isFirst ? '' : FIRST_LEADER,
      lineage: [],
      incarnation: '',
      members: [],
    }
    const { onCaptured, onApplied, onSynced, onFatal, onTrouble } = this.witness
    const node = new SimulatedNode(
      id,
      {
        ...{ scheduler, random: this.#random, network, trace, ops: this.#ops },
        lockService: this.lockService,
        ...{ requests: this.requests, onCaptured, onApplied, onSynced, onFatal },
        // Of a process that has died nothing counts.
        onTrouble: (of, what) => {
          if (scheduler.owner.isAlive) onTrouble(of, what)
        },
        onUp: (of) => {
          this.witness.onUp(of)
          if (of.process?.replica) this.applications.onFollows(of)
        },
        onLeads: (of) => this.applications.onLeads(of),
        onFollows: (of) => this.applications.onFollows(of),
      },
      first,
      this.#random.between(-500, 500),
      this.#rateOfClock(),
    )
    this.#files.make(`/${id}`, 0o755, true)
    this.#files.make(node.folder, 0o700, true)
    return node
  }

  #database(path: string): MemorySqlite {
    const known = this.#databases.get(path)
    if (known) return known
    const random = new SeededRandom(this.#options.seed, 10 + this.#databases.size)
    const database = new MemorySqlite(path, this.#files, random, this.#ops)
    this.#databases.set(path, database)
    return database
  }

  /** Programs read the copies, some of them for a while. */
  #readNow(): void {
    // Before its first copy there is nothing to read.
    for (const node of this.nodes)
      if (this.#random.isTrue(0.5) && this.#files.at(node.path))
        this.witness.read(node, this.#random.isTrue(0.2))
    this.scheduler.after(this.#random.between(50, 800), () => this.#readNow(), NOBODY)
  }

  /** A client waits now and then until a replica holds what it has written. */
  #waitForAcks(): void {
    const wanted = { replicas: 1, durable: this.#random.isTrue(0.3) }
    for (const { process } of this.leaders)
      this.scheduler.as(process ?? NOBODY, () => {
        const leader = process?.leader
        if (!leader) return
        const onReached = this.leased?.wait(process.node.id, leader.status.checksum)
        void leader.acknowledgements
          .wait({ ...leader.position }, wanted, ACK_WAIT_MS)
          .then(({ reached }) => {
            if (reached && onReached) this.witness.check(onReached)
          })
      })
    const pauseMs = this.leased ? this.#random.between(2, 100) : this.#random.between(20, 500)
    this.scheduler.after(pauseMs, () => this.#waitForAcks(), NOBODY)
  }

  #isLevel(): boolean {
    const { checksum } = this.states
    const [leader, ...more] = this.leaders
    const epoch = leader?.process?.leader?.position.epoch
    return (
      more.length === 0 &&
      this.nodes.every(({ process }) => {
        const replica = process?.replica
        const status = (process?.leader ?? replica)?.status
        if (replica && replica.status.state !== 'streaming') return false
        return status?.checksum === checksum && status.epoch === epoch
      })
    )
  }

  #proc() {
    return {
      '/proc/locks': () => this.#locks(),
      '/proc/self/ns/pid': () => 'pid:[4026531836]',
      '/proc/sys/kernel/random/boot_id': () => BOOT_ID,
    }
  }

  #locks(): string {
    const pidOf = (owner: Owner) => (owner instanceof NodeProcess ? process.pid : process.pid + 1)
    return [...this.#databases.values()].map((database) => database.locks(pidOf)).join('')
  }
}
