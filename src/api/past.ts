/**
 * `/_walcast/past...`: the past of a node's database, as its archive has it: what is there, a query
 * on it, a restore to a file of the node's machine, and a restored file to be downloaded.
 */
import type { Asker } from './asker.ts'

/** `GET`: what a place of the archive holds. */
export const PAST_PATH = '/_walcast/past'
/** `GET`: which position a moment means, and what a restore of it would read. */
export const PAST_PLAN_PATH = '/_walcast/past/plan'
/** `POST`: a query. */
export const PAST_QUERY_PATH = '/_walcast/past/query'
/** `GET`: the last restore. `POST`: begins one. `DELETE`: ends it. */
export const PAST_RESTORE_PATH = '/_walcast/past/restore'
/** `GET`: the file of a restore that is to be downloaded. */
export const PAST_FILE_PATH = '/_walcast/past/file'

export const MAX_SQL_CHARS = 16 * 1024
/** Rows of an answer unless the request says otherwise, and at most. */
export const DEFAULT_ROWS = 1000
export const MAX_ROWS = 10_000
/** Of all rows of an answer as JSON, in characters. */
export const MAX_ROWS_CHARS = 4 * 1024 * 1024
/** How long a query may take unless the request says otherwise, and at most, ms. */
export const QUERY_MS = 10_000
export const MAX_QUERY_MS = 60_000

/** A position of an archive. */
export interface PastPosition {
  /** EPOCH-TXID. */
  readonly position: string
  readonly incarnation: string
  /** When the leader noticed that commit, ISO time. */
  readonly at: string
}

/** What a restore reads and writes. */
export interface PastPlan extends PastPosition {
  readonly place: string
  /** Whether nothing later is archived. */
  readonly isLast: boolean
  /** Files that are read: the first ones by name, and how many there are. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[]
  readonly fileCount: number
  /** Of these files. */
  readonly bytes: number
  /** Of the database that comes of them, at most. */
  readonly databaseBytes: number
  /** Where a restore to a file goes, and what is there. */
  readonly target: PastTarget
}

export interface PastTarget {
  /** Folder, and the path in it when a name was given. */
  readonly folder: string
  readonly path?: string
  /** Whether a database is there, which only `force` replaces. */
  readonly replaces: boolean
  /** Free on that disk, and kept free (--drill-reserve). */
  readonly freeBytes: number
  readonly reserveBytes: number
}

/** `null`; a whole number; a number with a fraction; a text; what JSON cannot say, by its type. */
export type PastValue = null | number | string | Readonly<Record<string, string>>

export interface PastRows extends PastPosition {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly PastValue[])[]
  /** Why there are more rows than these; absent: there are none. */
  readonly cut?: 'rows' | 'bytes'
}

export interface PastContents {
  readonly place: string
  readonly files: number
  readonly bytes: number
  /** Files of changes, by level: 0 as captured, each higher one merged of those below. */
  readonly levels: readonly {
    readonly level: number
    readonly files: number
    readonly bytes: number
    /** Whether only some of the positions are left in them. */
    readonly isThinned: boolean
  }[]
  /** The newest first, `MAX_SHOWN` at most; and how many there are. */
  readonly snapshots: readonly (PastPosition & { readonly bytes: number })[]
  readonly snapshotCount: number
  readonly points: readonly {
    readonly name: string
    readonly txid: number
    readonly incarnation: string
    /** When it got the name, ISO time. */
    readonly since: string
  }[]
  readonly pointCount: number
  readonly pins: readonly { readonly until: string }[]
  readonly pinCount: number
}

/** Of each list in `PastContents`. */
export const MAX_SHOWN = 100

/**
 *     running -> done                           to a file
 *            \-> ready -> done, or expired      to be downloaded
 *     from running and ready: failed, cancelled
 */
export type RestoreState = 'running' | 'ready' | 'done' | 'failed' | 'cancelled' | 'expired'

export interface RestoreReport {
  readonly id: string
  readonly kind: 'file' | 'download'
  readonly state: RestoreState
  readonly place: string
  /** EPOCH-TXID; before it is known, what was asked for. */
  readonly position: string
  /** Path of the file, or the name under which a browser saves it. */
  readonly file: string
  /** Read of the archive so far, and in all; 0 while that is unknown. */
  readonly bytes: number
  readonly totalBytes: number
  readonly by: string
  /** ISO times. */
  readonly beganAt: string
  readonly endedAt?: string
  readonly result?: RestoreResult
  readonly error?: { readonly code: string; readonly message: string; readonly cure: string }
  /** Files of other restores that wait to be downloaded, or are being sent. */
  readonly others?: readonly Pick<RestoreReport, 'id' | 'position' | 'file' | 'by'>[]
}

export interface RestoreResult extends PastPosition {
  /** State checksum, 16 hex digits: as archived. */
  readonly checksum: string
  readonly databaseBytes: number
  /** SQLite's integrity check: ok, or impossible for want of a module of the application. */
  readonly integrityCheck: 'ok' | 'impossible'
  readonly tookMs: number
}

/** Which state of which place, as the request says. */
export interface PastMoment {
  /** Which one of --backup, from 1. */
  readonly place: number
  /** A time, a position, a txid, a name or `newest`. */
  readonly at: string
  /** The history that ends in this incarnation. */
  readonly incarnation: string | undefined
}

export interface PastQueryOrder extends PastMoment {
  readonly sql: string
  readonly rows: number
  readonly timeoutMs: number
}

export interface PastRestoreOrder extends PastMoment {
  /** Name of the file; undefined: it is to be downloaded. */
  readonly name: string | undefined
  /** Replaces a file that is there. */
  readonly isForced: boolean
}

/** An open file that is sent. */
export interface PastDownload {
  /** Under which a browser saves it: letters, digits, `.`, `_` and `-`. */
  readonly name: string
  readonly bytes: number
  /** The next bytes; undefined at the end. */
  read(): Promise<Buffer | undefined>
  /** `isWhole`: all was sent, and the file can go. May be called more than once. */
  close(isWhole: boolean): Promise<void>
}

/**
 * `gone`: aborted when who asked went away. All throw NODE_ARCHIVE, PAST_BUSY, PAST_ENDED,
 * CALLER_GONE, and what reading the archive throws.
 */
export interface PastDesk {
  contents(place: number, asker: Asker, gone: AbortSignal): Promise<PastContents>
  /** Throws RESTORE_REFUSED for a name that no restored file may have. */
  plan(
    moment: PastMoment,
    name: string | undefined,
    asker: Asker,
    gone: AbortSignal,
  ): Promise<PastPlan>
  /** Throws QUERY_FAILED. */
  query(order: PastQueryOrder, asker: Asker, gone: AbortSignal): Promise<PastRows>
  /** Begins it. Throws RESTORE_REFUSED. */
  restore(order: PastRestoreOrder, asker: Asker): RestoreReport
  /** Ends the one with this id. Throws PAST_RESTORE_GONE. */
  cancel(id: string): Promise<RestoreReport>
  /** The last one; undefined before the first. */
  report(): RestoreReport | undefined
  /** Throws PAST_RESTORE_GONE. */
  download(id: string, asker: Asker): Promise<PastDownload>
}
