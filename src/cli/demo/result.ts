/** The result of the demo, as `--json` prints it, and whether it is a success. */
import type { LagReport, NodeStatus } from '../../api/nodeStatus.ts'
import type { Counts } from './metrics.ts'
import type { LiveReading, StoppedFile } from './proof.ts'

/** What was read of one node, first live and then stopped. */
export interface Finding {
  readonly status: NodeStatus
  readonly lag: LagReport
  /** The lag just before the first interruption. */
  readonly undisturbed: LagReport
  readonly counts: Counts
  readonly live: LiveReading
  readonly stopped: StoppedFile
}

export interface Interruption {
  readonly node: string
  readonly signal: 'SIGTERM' | 'SIGKILL'
  /** From the signal until the node was ready again. */
  readonly downMs: number
  /** From then until every replica had what the leader had at that moment. */
  readonly levelMs: number
  /** True when it resumed: same epoch, nothing copied again. */
  readonly resumed: boolean
}

export interface DemoResult {
  readonly ok: boolean
  readonly seconds: number
  readonly rate: number
  /** Transactions that the writer committed. */
  readonly writes: number
  readonly leader: NodeResult & {
    /** Transactions that the leader counted meanwhile. */
    readonly captured: number
  }
  readonly replicas: readonly ReplicaResult[]
  readonly interruptions: readonly Interruption[]
  readonly proof: {
    readonly pages: number
    readonly pageSize: number
    /** The state checksum, computed from the leader's file after all nodes were stopped. */
    readonly checksum: string
    /** Rows by table. */
    readonly tables: Readonly<Record<string, number>>
    /** `ok`, or the first complaint of any file's integrity_check. */
    readonly integrity: string
  }
}

interface NodeResult {
  readonly name: string
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
  /** WAL frames captured by the leader; pages applied by a replica. */
  readonly frames: number
  /** Sent by the leader to all replicas together; received by a replica. */
  readonly bytes: number
}

export interface ReplicaResult extends NodeResult {
  /**
   * Position, state checksum, every page, integrity_check and row counts are those of the leader.
   */
  readonly identical: boolean
  readonly differingPages: number
  /** The first few of them. */
  readonly firstDiffering: readonly number[]
  /** Lag at the end, of the present process: catching up after an interruption counts. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Batches measured in the last `windowSeconds`. */
  readonly count: number
  readonly windowSeconds: number
  /** Lag from the start until just before the first interruption. */
  readonly undisturbed: Lag
}

export type Lag = Pick<LagReport, 'p50Ms' | 'p95Ms' | 'p99Ms' | 'maxMs' | 'count'>

export interface Run {
  readonly seconds: number
  readonly rate: number
  readonly writes: number
  /** The leader's txid before the writer began. */
  readonly firstTxid: number
  readonly interruptions: readonly Interruption[]
}

export function resultOf(run: Run, leader: Finding, replicas: readonly Finding[]): DemoResult {
  const { seconds, rate, writes, firstTxid, interruptions } = run
  const results = replicas.map((replica) => replicaResult(replica, leader))
  const all = [leader, ...replicas]
  const complaint = all
    .flatMap(({ live, stopped }) => [live.integrity, stopped.integrity])
    .find((text) => text !== 'ok')
  return {
    ok: isSound(leader) && results.every((replica) => replica.identical),
    seconds,
    rate,
    writes,
    leader: { ...nodeResult(leader), captured: leader.status.txid - firstTxid },
    replicas: results,
    interruptions,
    proof: {
      pages: leader.stopped.pages,
      pageSize: leader.stopped.pageSize,
      checksum: leader.stopped.checksum,
      tables: leader.live.rows,
      integrity: complaint ?? 'ok',
    },
  }
}

/** A node's file is sound and holds what the node reported. */
function isSound({ status, live, stopped }: Finding): boolean {
  return (
    live.integrity === 'ok' && stopped.integrity === 'ok' && stopped.checksum === status.checksum
  )
}

function isSame(replica: Finding, leader: Finding): boolean {
  const position = ({ status }: Finding) => [status.epoch, status.txid, status.checksum].join()
  const rows = ({ live }: Finding) => JSON.stringify(live.rows)
  return (
    position(replica) === position(leader) &&
    rows(replica) === rows(leader) &&
    replica.stopped.differingPages === 0
  )
}

function nodeResult({ status, counts }: Finding): NodeResult {
  const { node, epoch, txid, checksum } = status
  return { name: node, epoch, txid, checksum, frames: counts.frames, bytes: counts.bytes }
}

function replicaResult(replica: Finding, leader: Finding): ReplicaResult {
  const { differingPages, firstDiffering } = replica.stopped
  return {
    ...nodeResult(replica),
    identical: isSound(replica) && isSame(replica, leader),
    differingPages,
    firstDiffering,
    ...lagOf(replica.lag),
    windowSeconds: replica.lag.windowSeconds,
    undisturbed: lagOf(replica.undisturbed),
  }
}

function lagOf({ p50Ms, p95Ms, p99Ms, maxMs, count }: LagReport): Lag {
  return { p50Ms, p95Ms, p99Ms, maxMs, count }
}
