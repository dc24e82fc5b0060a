/** What a node answers of itself and its databases. */
import type { ApplicationStatus } from './applicationStatus.ts'
import type { AuditEntry } from './audit.ts'
import type { DatabaseLag, DatabaseStatus } from './databaseStatus.ts'
import type { ElectionReport } from './electionReport.ts'
import type { FailedReadsReport } from './failedReads.ts'
import type { NodePlace } from './roleAnswers.ts'
import type { PauseInfo } from './rolePause.ts'

/** `GET /_walcast/status`. The fields of the only database stand at the top as well. */
export interface NodeStatus extends DatabaseStatus {
  readonly node: string
  readonly cluster: string
  /** By name. */
  readonly databases: Readonly<Record<string, DatabaseStatus>>
  /** The application behind this node; absent without one. */
  readonly application?: ApplicationStatus
  /** Reads that this node's application failed, and their outcome; absent before the first. */
  readonly failedReads?: FailedReadsReport
  /** Absent with --election static. */
  readonly election?: ElectionReport
  /** Absent while role changes are not paused. */
  readonly paused?: PauseInfo
  /** Other nodes of the cluster that this one has met or heard of. */
  readonly members?: readonly NodePlace[]
  /** The last requests and changes that concern the node's role; newest last. */
  readonly audit?: readonly AuditEntry[]
  /** Its --ack: how many replicas must hold a write before it is answered. */
  readonly ack: string
  readonly version: string
  readonly uptimeSeconds: number
}

/** `GET /_walcast/lag`. The fields of the only database stand at the top as well. */
export type LagReport = DatabaseLag & {
  /** By name. */
  readonly databases: Readonly<Record<string, DatabaseLag>>
}
