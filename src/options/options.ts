/** Everything that can be set on a node, with its default. Flags, environment, file and help derive from this table. */

import { LEADERSHIP_OPTIONS } from '../node/leadershipOptions.ts'
import type { OnStale } from '../proxy/replicaSide.ts'
import { CROWD_OPTIONS, type CrowdOptions } from './crowdOptions.ts'
import { BOTH, LEADER, type OptionSpec, REPLICA } from './optionSpec.ts'
import { TRAFFIC_OPTIONS } from './proxyOptions.ts'
import { ROLE_OPTIONS, type RoleOptions } from './roleOptions.ts'

export interface NodeOptions extends RoleOptions, CrowdOptions {
  readonly db: string
  readonly listen: string
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
  /** Permission bits; those of the leader's file when not given. */
  readonly copyMode?: number
  readonly reconnectMaxMs: number
  readonly maxDiverged: number
  readonly maxDivergedBytes: number
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
  /** HTTP statuses; empty where failed reads stay here. */
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

export const NODE_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'db',
    flag: 'db',
    kind: 'path',
    value: 'FILE',
    help: 'the SQLite database file',
    required: true,
    roles: BOTH,
    common: true,
  },
  {
    key: 'leader',
    flag: 'leader',
    kind: 'address',
    value: 'HOST:PORT',
    help: 'address of the leader, or of a replica to be fed by',
    required: true,
    roles: REPLICA,
    common: true,
  },
  {
    key: 'listen',
    flag: 'listen',
    kind: 'address',
    value: 'HOST:PORT',
    help: 'address of the private side: replication, health, metrics, status',
    default: '127.0.0.1:8470',
    roles: BOTH,
    common: true,
  },
  {
    key: 'name',
    flag: 'name',
    kind: 'text',
    value: 'ID',
    help: 'id of this node; made once and kept when not given',
    roles: BOTH,
    common: true,
  },
  {
    key: 'advertise',
    flag: 'advertise',
    kind: 'address',
    value: 'HOST:PORT',
    help: 'address at which other nodes reach this one (default: --listen; needed with 0.0.0.0 and [::])',
    roles: BOTH,
    common: true,
  },
  {
    key: 'standby',
    flag: 'standby',
    kind: 'flag',
    value: '',
    help: 'apply everything, serve no application traffic',
    roles: REPLICA,
    common: true,
  },
  {
    key: 'maxStalenessMs',
    flag: 'max-staleness',
    kind: 'duration',
    value: 'TIME',
    help: 'a replica that has not heard of its leader for so long is not ready',
    default: '30s',
    roles: REPLICA,
    common: true,
  },
  {
    key: 'softWalFrames',
    flag: 'soft-wal',
    kind: 'number',
    value: 'FRAMES',
    help: 'frames in the WAL from which on it is backfilled; no writer waits',
    default: '750',
    least: '10',
    roles: LEADER,
  },
  {
    key: 'hardWalFrames',
    flag: 'hard-wal',
    kind: 'number',
    value: 'FRAMES',
    help: 'frames in the WAL at which very fast writers are stopped for the moment that the last backfill takes, if nobody reads',
    default: '850',
    roles: LEADER,
  },
  {
    key: 'maxWalBytes',
    flag: 'max-wal',
    kind: 'bytes',
    value: 'SIZE',
    help: 'size of the WAL from which on writers are stopped as soon as the lock can be had, whoever reads; no upper bound',
    default: '64MiB',
    least: '1MiB',
    roles: LEADER,
  },
  {
    key: 'fenceTimeoutMs',
    flag: 'fence-timeout',
    kind: 'duration',
    value: 'TIME',
    help: 'how long to wait for the write lock before trying again later',
    default: '20ms',
    roles: LEADER,
  },
  {
    key: 'historyBytes',
    flag: 'history',
    kind: 'bytes',
    value: 'SIZE',
    help: 'recent batches kept in memory for replicas that come back',
    default: '32MiB',
    roles: BOTH,
  },
  {
    key: 'batchBytes',
    flag: 'batch',
    kind: 'bytes',
    value: 'SIZE',
    help: 'WAL read and sent at once at most',
    default: '1MiB',
    roles: LEADER,
  },
  {
    key: 'maxBufferedBytes',
    flag: 'max-buffered',
    kind: 'bytes',
    value: 'SIZE',
    help: 'bytes waiting in the socket of one replica before it is no longer fed',
    default: '4MiB',
    roles: BOTH,
  },
  {
    key: 'maxReplicas',
    flag: 'max-replicas',
    kind: 'number',
    value: 'N',
    help: 'connections of replicas',
    default: '128',
    roles: BOTH,
  },
  {
    key: 'stallMs',
    flag: 'stall',
    kind: 'duration',
    value: 'TIME',
    help: 'a connection that takes nothing for so long is closed',
    default: '30s',
    roles: BOTH,
  },
  {
    key: 'heartbeatMs',
    flag: 'heartbeat',
    kind: 'duration',
    value: 'TIME',
    help: 'between two heartbeats to the replicas',
    default: '500ms',
    roles: BOTH,
  },
  {
    key: 'pollMs',
    flag: 'poll',
    kind: 'duration',
    value: 'TIME',
    help: 'between two looks at the WAL under load',
    default: '1ms',
    roles: LEADER,
  },
  {
    key: 'pollAbovePerSecond',
    flag: 'poll-above',
    kind: 'number',
    value: 'N',
    help: 'commits a second from which on a timer replaces file events',
    default: '1500',
    roles: LEADER,
  },
  {
    key: 'maxQueuedBytes',
    flag: 'max-queued',
    kind: 'bytes',
    value: 'SIZE',
    help: 'bytes received and not yet applied before reading stops',
    default: '8MiB',
    roles: REPLICA,
  },
  {
    key: 'replicaWalBytes',
    flag: 'replica-wal',
    kind: 'bytes',
    value: 'SIZE',
    help: "size of the copy's WAL from which on it is checkpointed",
    default: '4MiB',
    roles: REPLICA,
  },
  {
    key: 'lockTimeoutMs',
    flag: 'lock-timeout',
    kind: 'duration',
    value: 'TIME',
    help: 'how long to wait at start for another writer of the copy',
    default: '10s',
    roles: REPLICA,
  },
  {
    key: 'copyMode',
    flag: 'copy-mode',
    kind: 'fileMode',
    value: 'MODE',
    help: "who may read the copy, as for chmod: 0640 lets the group (default: never more than the leader's file)",
    roles: REPLICA,
    common: true,
  },
  {
    key: 'reconnectMaxMs',
    flag: 'reconnect-max',
    kind: 'duration',
    value: 'TIME',
    help: 'longest pause between two attempts to reach the leader',
    default: '1s',
    roles: REPLICA,
  },
  {
    key: 'maxDiverged',
    flag: 'max-diverged',
    kind: 'number',
    value: 'N',
    help: 'bundles of rows kept aside because the leader may lack them; the oldest go when there are more, 0 keeps none',
    default: '16',
    roles: REPLICA,
  },
  {
    key: 'maxDivergedBytes',
    flag: 'max-diverged-bytes',
    kind: 'bytes',
    value: 'SIZE',
    help: 'size of all bundles kept aside; the oldest go when they are larger, the newest stays whatever its size',
    default: '1GiB',
    roles: REPLICA,
  },
  {
    key: 'idleMs',
    flag: 'idle',
    kind: 'duration',
    value: 'TIME',
    help: "quiet time after which the copy's WAL is emptied",
    default: '1s',
    roles: REPLICA,
  },
  {
    key: 'maxWaits',
    flag: 'max-waits',
    kind: 'number',
    value: 'N',
    help: 'requests that may wait for a position, and as many again for replicas to hold a write',
    default: '10000',
    roles: BOTH,
  },
  {
    key: 'maxWaitMs',
    flag: 'max-wait',
    kind: 'duration',
    value: 'TIME',
    help: 'longest wait for a position',
    default: '60s',
    roles: BOTH,
  },
  {
    key: 'drainMs',
    flag: 'drain',
    kind: 'duration',
    value: 'TIME',
    help: 'how long a stop may take',
    default: '10s',
    roles: BOTH,
  },
  {
    key: 'scrubRate',
    flag: 'scrub-rate',
    kind: 'bytes',
    value: 'SIZE',
    help: 'bytes a second at which the file is read and compared with its checksums; 0 turns that off',
    default: '4MiB',
    least: '64KiB',
    zeroIsOff: true,
    roles: BOTH,
    common: true,
  },
  {
    key: 'scrubEveryMs',
    flag: 'scrub-every',
    kind: 'duration',
    value: 'TIME',
    help: 'from the start of one such reading to that of the next; the first begins after 5 minutes at most',
    default: '24h',
    roles: BOTH,
  },
  ...ROLE_OPTIONS,
  ...TRAFFIC_OPTIONS,
  ...CROWD_OPTIONS,
  ...LEADERSHIP_OPTIONS,
]
