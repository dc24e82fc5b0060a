/** What a node answers of the archive that it writes. */

/** The last drill that succeeded. */
export interface DrillReport {
  /** EPOCH-TXID of the position that it restored. */
  readonly position: string
  readonly incarnation: string
  /** When the leader noticed that commit, ISO time. */
  readonly at: string
  /** When the drill ended, ISO time. */
  readonly provenAt: string
  readonly tookMs: number
  /** Bytes that it read of the archive. */
  readonly bytes: number
}

export interface PlaceReport {
  /** A folder, or the URL of a bucket. */
  readonly place: string
  /** False while another node of the cluster archives. */
  readonly isArchiving: boolean
  /** Id of the replica that archives, where the leader knows it. */
  readonly archivist?: string
  /** Whether a leader that came up just now leaves the place to replicas, which have not asked. */
  readonly isAwaitingReplica?: true
  /** The newest position that a restore from this place reaches; absent until it is known. */
  readonly restorableUntil?: {
    /** EPOCH-TXID. */
    readonly position: string
    readonly incarnation: string
    /** When the leader noticed that commit, ISO time. */
    readonly at: string
  }
  /**
   * For how long the oldest commit that is not there has been waiting, ms: 0 only when none is. It
   * goes on while the place cannot be reached. Absent while another node archives, and while it is
   * unknown whether one is waiting.
   */
  readonly behindMs?: number
  /** While a snapshot is written to the place: how far that is, in bytes of the database. */
  readonly snapshotWriting?: { readonly done: number; readonly total: number }
  /** Whether a commit has been waiting for the place for longer than --backup-alert. */
  readonly isStalled: boolean
  /** Absent before the first, and with --drill off. */
  readonly proven?: DrillReport
  /** The same of an encrypted place, where a drill reads all files and restores nothing. */
  readonly checked?: DrillReport
  /** Of the last drill; absent when it succeeded. */
  readonly drillFailure?: {
    readonly code: string
    readonly message: string
    /** ISO time. */
    readonly at: string
  }
  /**
   * Whether the last proof is older than twice the pause between two drills; absent while another
   * node archives, before there is an archive, and with --drill off.
   */
  readonly isProofOverdue?: boolean
  /** When a broken file last caused a snapshot, and what was found. */
  readonly renewed?: PlaceError & {
    /** ISO time. */
    readonly at: string
  }
  readonly lastError?: PlaceError
  /** The last round that kept the place small; absent before the first one of this process. */
  readonly upkeep?: UpkeepReport
}

export interface PlaceError {
  readonly code: string
  readonly message: string
}

export interface UpkeepReport {
  /** When it ended, ISO time in the clock of the node. */
  readonly at: string
  /** What the place has. */
  readonly files: number
  readonly bytes: number
  /** What the policy keeps, the youngest first. */
  readonly restorable: readonly {
    /** How many positions: all, or the last one of each hour, day, week, month or year. */
    readonly grain: string
    /** Commit times of the first and last position, ISO. */
    readonly from: string
    readonly to: string
  }[]
  /** Why nothing is removed for its age: clocks that do not fit. */
  readonly refused?: string
  /** Bytes above the size in the policy that cannot go. */
  readonly overBytes?: number
  /** Why it did not do everything. */
  readonly lastError?: PlaceError
}

export interface BackupReport {
  readonly places: readonly PlaceReport[]
  /** Batches kept beside the database for places that lack them. */
  readonly logBytes: number
  /** Batches in memory that are not in that log yet. */
  readonly queueBytes: number
}
