/** What a node answers of the archive that it writes. */

export interface PlaceReport {
  /** A folder, or the URL of a bucket. */
  readonly place: string
  /** False while another node of the cluster archives. */
  readonly isArchiving: boolean
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
  readonly lastError?: { readonly code: string; readonly message: string }
}

export interface BackupReport {
  readonly places: readonly PlaceReport[]
  /** Batches kept beside the database for places that lack them. */
  readonly logBytes: number
  /** Batches in memory that are not in that log yet. */
  readonly queueBytes: number
}
