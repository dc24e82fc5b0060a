/** The demo's nodes: one leader and two replicas, and waiting for their states. */
import { dirname, join } from 'node:path'
import type { NodeStatus } from '../../api/nodeStatus.ts'
import { mkdirSync } from '../../platform/files.ts'
import { monotonicMs } from '../../platform/time.ts'
import { freePort } from '../freePorts.ts'
import { copyAirports } from './database.ts'
import { DemoNode } from './node.ts'
import type { Stage } from './stage.ts'
import { pause, until } from './wait.ts'

export const DATABASE_FILE = 'airports.sqlite'
const REPLICAS = 2
const POLL_MS = 20
const START_TIMEOUT_MS = 30_000
const LEVEL_TIMEOUT_MS = 30_000
/** Nodes count as level once nothing has changed for so long. */
const STILL_MS = 150

export class DemoCluster {
  readonly leader: DemoNode
  readonly replicas: readonly DemoNode[]
  readonly #signal: AbortSignal

  private constructor(leader: DemoNode, replicas: readonly DemoNode[], signal: AbortSignal) {
    this.leader = leader
    this.replicas = replicas
    this.#signal = signal
  }

  /** Creates the folders and the leader's database; starts nothing. Throws DEMO_FAILED. */
  static async create({ children, folder, environment, signal }: Stage): Promise<DemoCluster> {
    const nodeOf = async (name: string, leader?: string) => {
      const port = await freePort()
      const db = join(folder, name, DATABASE_FILE)
      mkdirSync(dirname(db))
      return new DemoNode(children, { name, db, port, environment, ...(leader ? { leader } : {}) })
    }
    const leader = await nodeOf('leader')
    const replicas: DemoNode[] = []
    while (replicas.length < REPLICAS)
      replicas.push(await nodeOf(`replica-${replicas.length + 1}`, leader.address))
    copyAirports(leader.db)
    return new DemoCluster(leader, replicas, signal)
  }

  get nodes(): readonly DemoNode[] {
    return [this.leader, ...this.replicas]
  }

  async untilReady(node: DemoNode): Promise<void> {
    await this.#until(
      `starting ${node.name}`,
      START_TIMEOUT_MS,
      async () => (await node.isReady()) || undefined,
    )
  }

  statusOf(node: DemoNode): Promise<NodeStatus> {
    return this.#until(`an answer of ${node.name}`, START_TIMEOUT_MS, () => node.status())
  }

  /**
   * Waits until every replica is connected and has what the leader has now. Returns the leader's
   * current status.
   */
  async untilCaughtUp(): Promise<NodeStatus> {
    const target = await this.statusOf(this.leader)
    await this.#until('catching up', LEVEL_TIMEOUT_MS, async () => {
      const statuses = await Promise.all(this.replicas.map((replica) => replica.status()))
      return statuses.every((status) => status && hasReached(status, target)) || undefined
    })
    return target
  }

  /**
   * The statuses of all nodes once they stand still at the same position, or as they are when that
   * takes too long.
   */
  async untilLevel(): Promise<NodeStatus[]> {
    const ask = () => Promise.all(this.nodes.map((node) => this.statusOf(node)))
    const endMs = monotonicMs() + LEVEL_TIMEOUT_MS
    for (;;) {
      const before = await ask()
      await pause(STILL_MS, this.#signal)
      const now = await ask()
      if (new Set([...before, ...now].map(positionOf)).size === 1 || monotonicMs() > endMs)
        return now
    }
  }

  /** How many copies and comparisons the replicas have finished, over all their processes. */
  async syncs(): Promise<number> {
    const counts = await Promise.all(this.replicas.map((node) => node.counts()))
    return counts.reduce((sum, { syncs }) => sum + syncs, 0)
  }

  /** Stops every node, the leader last. */
  async stop(): Promise<void> {
    for (const node of [...this.nodes].reverse()) await node.stop('SIGTERM')
  }

  #until<T>(what: string, timeoutMs: number, ask: () => Promise<T | undefined>): Promise<T> {
    return until(what, ask, { everyMs: POLL_MS, timeoutMs, signal: this.#signal })
  }
}

/**
 * A replica that still follows another epoch has yet to compare its pages, whatever its txid.
 */
function hasReached({ lag, epoch, txid, sync }: NodeStatus, target: NodeStatus): boolean {
  return lag.connected && !sync && epoch === target.epoch && txid >= target.txid
}

function positionOf({ epoch, txid, checksum }: NodeStatus): string {
  return `${epoch}-${txid}-${checksum}`
}
