/** What a node tells of one of its databases: its status and its lag. */

import type { ReplicaStatus } from '../feed/replicaStatus.ts'
import type { LagTracker } from '../replica/lag.ts'
import type { BackupReport } from './backupStatus.ts'
import type { Cause } from './cause.ts'
import type { NodeRole } from './roleAnswers.ts'
import type { SnapshotReport } from './snapshotStatus.ts'

/** How the pages on disk compare with the page checksums. */
export interface ScrubReport {
  /** Whether passes start by themselves. */
  readonly background: boolean
  readonly passes: number
  /** End of the last whole pass; absent before the first. */
  readonly lastPassAt?: string
  /** The pass under way. */
  readonly running?: { readonly page: number; readonly pages: number }
  /** Whether the pass reads the disk, not the page cache; absent before the first pass. */
  readonly direct?: boolean
  /** The first of the pages known to be wrong now. */
  readonly rotten: readonly number[]
  readonly rottenPages: number
  /** How much is known to be wrong now: pages, and the state checksum in memory. */
  readonly unexplained: number
}

export interface DivergedStatus {
  /** Name of its folder in `FILE-walcast/diverged/`. */
  readonly name: string
  /** `routine`: the leader very likely had all of it; `diverged`: it may lack commits. */
  readonly kind: 'routine' | 'diverged'
  /** ISO time. */
  readonly at: string
  /** Where the copy stood: `epoch-txid`. */
  readonly position: string
  readonly reason: string
  readonly state: string
  /** Why the rows could not be compared. */
  readonly detail?: string
  /** The copy was damaged: its rows may be a result of the damage. */
  readonly isDamaged?: boolean
  /**
   * Rows missing from the leader and rows that differ there, once compared; `added` is always 0.
   */
  readonly rows?: { readonly removed: number; readonly changed: number; readonly added: number }
}

export interface DatabaseStatus {
  /** Path of the database file. */
  readonly db: string
  readonly role: NodeRole
  /**
   * ISO time of the last change of role, or of the node's first role; absent where an old version
   * has not noted it.
   */
  readonly roleSince?: string
  readonly state: string
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
  readonly pageSize: number
  readonly pages: number
  /** Published frames of the WAL. */
  readonly walBytes: number
  /** Size of the WAL file. */
  readonly walFileBytes: number
  /** Id or address of the leader. */
  readonly leader: string
  /**
   * Id or address of the node that feeds this one: the leader or another replica. Absent on a
   * leader.
   */
  readonly follows?: string
  readonly replicas: readonly ReplicaStatus[]
  readonly lag: { readonly lagMs: number; readonly txidLag: number; readonly connected: boolean }
  /** Why it lags or its WAL grows; empty when all is well. */
  readonly causes: readonly Cause[]
  /** Progress of a copy or comparison in pages, of `pageSize` bytes each, while one runs. */
  readonly sync?: { readonly remaining: number; readonly total: number; readonly pageSize: number }
  /** Rows kept aside because the leader may lack them, oldest first. */
  readonly diverged?: readonly DivergedStatus[]
  readonly scrub?: ScrubReport
  /** The archive that this node writes; absent without --backup. */
  readonly backup?: BackupReport
  /** The dated snapshots that this node makes; absent without --snapshot-every. */
  readonly snapshots?: SnapshotReport
  /**
   * When this leader found that its state was put back to an earlier one; absent once a later
   * epoch has begun.
   */
  readonly putBack?: { readonly at: string; readonly position: string; readonly reason: string }
  readonly lastError?: { readonly code: string; readonly message: string }
}

export type DatabaseLag = {
  readonly role: NodeRole
  readonly causes: readonly Cause[]
} & ReturnType<LagTracker['report']>
