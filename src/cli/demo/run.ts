/** The story of the demo: first copies, live writes with two interruptions, and the proof. */
import type { LagReport, NodeStatus } from '../../api/nodeStatus.ts'
import { monotonicMs } from '../../platform/time.ts'
import { formatBytes } from '../queryCommand.ts'
import type { Child } from './children.ts'
import { DATABASE_FILE, DemoCluster } from './cluster.ts'
import { DemoFailure } from './failure.ts'
import { playInterruptions } from './interruptions.ts'
import type { DemoNode } from './node.ts'
import type { LiveReading, StoppedFile } from './proof.ts'
import { type DemoResult, type Finding, type Interruption, resultOf } from './result.ts'
import type { Stage } from './stage.ts'
import {
  copyLine,
  copyPicture,
  formatCount,
  formatLapse,
  liveLine,
  livePicture,
  type NodeRow,
} from './table.ts'
import { pause, until } from './wait.ts'
import type { WriterReport } from './writer.ts'

export interface DemoOptions {
  readonly seconds: number
  /** Transactions a second. */
  readonly rate: number
}

const DRAW_MS = 500
const COPY_DRAW_MS = 50
const COPY_TIMEOUT_MS = 120_000
const POLL_MS = 20
const PROOF_TIMEOUT_MS = 120_000

export class DemoRun {
  readonly #stage: Stage
  readonly #options: DemoOptions
  readonly #beganMs = monotonicMs()
  readonly #cluster: DemoCluster
  /** Lag of each node before the first interruption. */
  #undisturbed: readonly LagReport[] = []
  #writes = 0

  private constructor(stage: Stage, options: DemoOptions, cluster: DemoCluster) {
    this.#stage = stage
    this.#options = options
    this.#cluster = cluster
  }

  /**
   * Throws DEMO_FAILED when something does not happen in time or a process dies, or the reason why
   * `stage` was aborted.
   */
  static async play(stage: Stage, options: DemoOptions): Promise<DemoResult> {
    return new DemoRun(stage, options, await DemoCluster.create(stage)).#play()
  }

  async #play(): Promise<DemoResult> {
    const { txid: firstTxid } = await this.#startLeader()
    await this.#copyToReplicas()
    const writer = this.#startWriter()
    const interruptions = await this.#live()
    await this.#stopWriter(writer)
    const [leader, ...replicas] = await this.#prove()
    return resultOf(
      { ...this.#options, writes: this.#writes, firstTxid, interruptions },
      leader,
      replicas,
    )
  }

  async #startLeader(): Promise<NodeStatus> {
    const { leader } = this.#cluster
    leader.start()
    await this.#cluster.untilReady(leader)
    const status = await this.#cluster.statusOf(leader)
    const { pages, pageSize } = status
    this.#event(`leader runs on ${formatBytes(pages * pageSize)} in ${formatCount(pages)} pages`)
    return status
  }

  async #copyToReplicas(): Promise<void> {
    const { replicas } = this.#cluster
    const { screen, signal } = this.#stage
    const beganMs = monotonicMs()
    for (const replica of replicas) replica.start()
    const isCopied = async () => {
      const shares = await Promise.all(replicas.map(copiedShare))
      const copies = replicas.map(({ name }, i) => ({ name, share: shares[i] }))
      screen.live(copyPicture(copies), this.#timed(copyLine(copies)))
      return shares.every((share) => share === 1) || undefined
    }
    await until('the first copy', isCopied, {
      everyMs: COPY_DRAW_MS,
      timeoutMs: COPY_TIMEOUT_MS,
      signal,
    })
    screen.clear()
    const lapse = formatLapse(monotonicMs() - beganMs)
    this.#event(`both replicas have their first copy, ${lapse} after they were started`)
  }

  #startWriter(): Child {
    const { rate } = this.#options
    const writer = this.#stage.children.start('writer', 'cli/demo/writer', [
      this.#cluster.leader.db,
      String(rate),
    ])
    writer.onMessage<WriterReport>(({ writes }) => {
      this.#writes = writes
    })
    this.#event(`writer changes airports and runways, ${formatCount(rate)} transactions a second`)
    this.#event(
      `watch a copy with any SQLite tool: ${this.#stage.folder}/replica-1/${DATABASE_FILE}`,
    )
    return writer
  }

  /** Shows the table for the time asked for, and until the interruptions are over. */
  async #live(): Promise<readonly Interruption[]> {
    const totalMs = this.#options.seconds * 1000
    const { screen, signal } = this.#stage
    const failed = new AbortController()
    const interrupting = playInterruptions(this.#cluster, {
      totalMs,
      signal,
      event: (text) => this.#event(text),
      onFirst: async () => {
        this.#undisturbed = await Promise.all(this.#cluster.nodes.map(lagOf))
      },
    })
    interrupting.catch((error) => failed.abort(error))
    await this.#draw(totalMs, interrupting, AbortSignal.any([signal, failed.signal]))
    screen.settle()
    return interrupting
  }

  async #draw(totalMs: number, interrupting: Promise<unknown>, signal: AbortSignal): Promise<void> {
    let isOver = false
    const over = () => {
      isOver = true
    }
    interrupting.then(over, over)
    const endMs = monotonicMs() + totalMs
    while (monotonicMs() < endMs || !isOver) {
      const rows = await Promise.all(this.#cluster.nodes.map(rowOf))
      signal.throwIfAborted()
      this.#stage.screen.live(
        livePicture(this.#writes, rows),
        this.#timed(liveLine(this.#writes, rows)),
      )
      await pause(Math.min(DRAW_MS, Math.max(POLL_MS, endMs - monotonicMs())), signal)
    }
  }

  async #stopWriter(writer: Child): Promise<void> {
    writer.tell('stop')
    const code = await writer.ended
    if (code !== 0) throw writer.failure(`ended with code ${code}`)
    this.#event(`writer is done: ${formatCount(this.#writes)} transactions`)
  }

  async #prove(): Promise<Finding[]> {
    const { nodes } = this.#cluster
    const statuses = await this.#cluster.untilLevel()
    const lags = await Promise.all(nodes.map(lagOf))
    const counts = await Promise.all(nodes.map((node) => node.counts()))
    this.#event('reading all three databases while the nodes run')
    const live = await this.#read<LiveReading>('live')
    this.#event('stopping the nodes and comparing the three files page by page')
    await this.#cluster.stop()
    const stopped = await this.#read<StoppedFile>('stopped')
    return nodes.map((_, i) => ({
      status: statuses[i],
      lag: lags[i],
      undisturbed: this.#undisturbed[i],
      counts: counts[i],
      live: live[i],
      stopped: stopped[i],
    }))
  }

  /** Reads all three databases in a process of its own. */
  async #read<T>(mode: 'live' | 'stopped'): Promise<readonly T[]> {
    const { children, signal } = this.#stage
    const child = children.start('proof', 'cli/demo/proof', [
      mode,
      ...this.#cluster.nodes.map((node) => node.db),
    ])
    child.expectEnd()
    let answer: readonly T[] | undefined
    let code: number | undefined
    child.onMessage<readonly T[]>((message) => {
      answer = message
    })
    void child.ended.then((ended) => {
      code = ended
    })
    const limits = { everyMs: POLL_MS, timeoutMs: PROOF_TIMEOUT_MS, signal }
    await until('the proof', async () => answer ?? code, limits)
    if (answer === undefined) throw child.failure(`ended with code ${code}`)
    return answer
  }

  #event(text: string): void {
    this.#stage.screen.event(this.#timed(text))
  }

  #timed(text: string): string {
    const seconds = ((monotonicMs() - this.#beganMs) / 1000).toFixed(1)
    return `${seconds.padStart(5)} s  ${text}`
  }
}

/** How much of its first copy a replica has, from 0 to 1. */
async function copiedShare(replica: DemoNode): Promise<number> {
  if (await replica.isReady()) return 1
  const sync = (await replica.status())?.sync
  return sync && sync.total > 0 ? Math.min(0.99, (sync.total - sync.remaining) / sync.total) : 0
}

async function rowOf(node: DemoNode): Promise<NodeRow> {
  const [lag, counts] = await Promise.all([node.lag(), node.counts()])
  return { name: node.name, note: node.note, lag, counts }
}

async function lagOf(node: DemoNode): Promise<LagReport> {
  const lag = await node.lag()
  if (!lag) throw new DemoFailure(`${node.name} does not answer`, node.logTail())
  return lag
}
