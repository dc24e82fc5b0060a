/** The options of a node as values, wherever they came from. */

export type OnStale = 'forward' | 'serve' | 'refuse'
export interface RoleOptions {
  /** HOST:PORT of other nodes. */
  readonly peers: readonly string[]
  readonly peerTimeoutMs: number
  readonly peerLookMs: number
  readonly switchoverTimeoutMs: number
  readonly frozenMs: number
  readonly fenceWhenAloneMs?: number
}

export interface ElectionOptions {
  /** `static`, `etcd`, `consul`, or the `s3://` place of an object store. */
  readonly election: string
  /** Origins. */
  readonly etcd?: readonly string[]
  readonly consul?: string
  readonly electionPrefix: string
  readonly electionUser?: string
  /** Paths. */
  readonly electionCa?: string
  readonly electionCert?: string
  readonly electionKey?: string
  readonly ttlMs: number
  /** Transactions; undefined: it depends on what the leader acknowledges. */
  readonly maxLoss?: number
  readonly priority: number
  readonly neverLead: boolean
}

export interface NodeOptions extends RoleOptions, ElectionOptions, CrowdOptions, TlsOptions {
  readonly db: string
  readonly listen: string
  readonly health?: string
  readonly leader?: string
  readonly name?: string
  readonly advertise?: string
  readonly standby: boolean
  readonly maxStalenessMs: number
  readonly softWalFrames: number
  readonly hardWalFrames: number
  readonly maxWalBytes: number
  readonly fenceTimeoutMs: number
  readonly historyBytes: number
  readonly batchBytes: number
  readonly maxBufferedBytes: number
  readonly maxQueuedBytes: number
  readonly maxReplicas: number
  readonly maxWaits: number
  readonly maxWaitMs: number
  readonly stallMs: number
  readonly heartbeatMs: number
  readonly pollMs: number
  readonly pollAbovePerSecond: number
  readonly idleMs: number
  readonly replicaWalBytes: number
  readonly lockTimeoutMs: number
  /** Permission bits of the copy; undefined: those of the leader's file. */
  readonly copyMode?: number
  readonly reconnectMaxMs: number
  readonly maxDiverged: number
  readonly maxDivergedBytes: number
  /** Folders or URLs; undefined: nothing is archived. */
  readonly backup?: readonly string[]
  readonly backupOn: 'replica' | 'leader' | 'this'
  readonly backupRecipients?: string
  readonly backupEveryMs: number
  /** Parsed by `keepOf`. */
  readonly keep: string
  readonly keepEveryMs: number
  readonly backupLogBytes: number
  readonly backupQueueBytes: number
  readonly backupAlertMs: number
  /** Undefined: no dated snapshots are made. */
  readonly snapshotEveryMs?: number
  readonly snapshotTo?: string
  /** Parsed by `keepOf`. */
  readonly snapshotKeep: string
  /** A cron expression, `daily` or `off`. */
  readonly drill: string
  readonly drillCheck?: string
  /** Bytes a second. */
  readonly drillRate: number
  readonly drillReserve: number
  /** Unset: a folder in the node's own. */
  readonly restoreTo?: string
  readonly drainMs: number
  readonly scrubRate: number
  readonly scrubEveryMs: number
  readonly proxy?: string
  readonly upstream?: string
  readonly upstreamCheck?: string
  readonly upstreamCounts: 'readyz' | 'leader' | 'nowhere'
  readonly upstreamEveryMs: number
  readonly upstreamFall: number
  readonly upstreamRise: number
  readonly forward: readonly string[]
  readonly local: readonly string[]
  readonly standbyPaths: readonly string[]
  readonly onStale: OnStale
  /** HTTP statuses of failed reads that go to the leader; empty: none does. */
  readonly replayOn: readonly number[]
  readonly replayRate: number
  readonly cookieName: string
  readonly publicUrl?: string
  readonly holdMs: number
  readonly maxHeld: number
  readonly writeWaitMs: number
  readonly readWaitMs: number
  readonly staleForwards: number
  readonly maxRequests: number
  readonly maxHeaderBytes: number
  readonly requestTimeoutMs: number
  readonly answerTimeoutMs: number
  readonly replayBodyBytes: number
  readonly keptBodiesBytes: number
  readonly maxAnswers: number
  readonly answersBytes: number
  readonly answersMs: number
  readonly maxEventStreams: number
  readonly onRoleChange?: string
  readonly webhook?: string
  readonly hookTimeoutMs: number
  readonly ack: string
  readonly ackTimeoutMs: number
}

export interface TlsOptions {
  readonly tls?: boolean
  readonly plaintext?: boolean
  readonly oldSignatures?: boolean
  /** Paths. */
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tlsCa?: string
  readonly handshakeTimeoutMs: number
}

export interface CrowdOptions {
  /** Networks beside this machine, or `none`. */
  readonly trustedProxies: readonly string[]
  readonly maxConnections: number
  readonly maxClientConnections: number
  readonly maxClientRequests: number
  readonly maxUpgrades: number
  readonly maxPipelined: number
  readonly maxNodeRequests: number
  readonly headTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly sendTimeoutMs: number
  readonly verboseErrors: boolean
}
