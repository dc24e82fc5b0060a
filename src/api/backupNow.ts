/** `POST /_walcast/backup`: the node that archives brings its places level at once. */
import type { Position } from '../../proto/position.ts'

export const BACKUP_PATH = '/_walcast/backup'

/** How long it may take unless the request says otherwise, and at most, ms. */
export const BACKUP_NOW_MS = 60_000
export const MAX_BACKUP_NOW_MS = 6 * 3_600_000
/** How often a request may be passed on: a replica asks its leader, and that the one it knows. */
export const MAX_PASSES = 2
/** The most requests of which a node waits for the end at once. */
export const MAX_BACKUPS_NOW = 64

export interface BackupNowHow {
  /** Also writes a snapshot to each place. */
  readonly isSnapshotWanted: boolean
  /** What the places are to have; undefined: what the node has. */
  readonly position: Position | undefined
  readonly timeoutMs: number | undefined
  /** How often this request may still be passed on. */
  readonly passes: number
}

export interface PlaceNow {
  /** A folder, or the URL of a bucket. */
  readonly place: string
  /** EPOCH-TXID that the place has now. */
  readonly position: string
  /** When the leader noticed that commit, ISO time; absent when that is not known. */
  readonly at?: string
  /** Bytes that were written to the place meanwhile: 0 when it was level before. */
  readonly bytes: number
  /** Name of the snapshot that was asked for. */
  readonly snapshot?: string
}

export interface BackupNowAnswer {
  /** Id of the node that archived. */
  readonly node: string
  /** EPOCH-TXID that was asked for. */
  readonly position: string
  readonly places: readonly PlaceNow[]
  readonly tookMs: number
}

export interface BackupDesk {
  /**
   * Resolves once every place has the position. `gone`: aborted when who asked went away. Throws
   * NOT_ARCHIVING, BACKUP_BEHIND, STARTING, TOO_MANY_BACKUPS, NODE_ANSWER, CALLER_GONE, and what
   * waiting for the position throws.
   */
  now(how: BackupNowHow, by: string, gone: AbortSignal): Promise<BackupNowAnswer>
}
