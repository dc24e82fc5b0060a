/** What a node asks the process that reads the past, and what it answers. */
import type {
  PastContents,
  PastPlan,
  PastQueryOrder,
  PastRows,
  RestoreResult,
} from '../../api/past.ts'
import type { Moment } from '../moment.ts'

/** Which state of which archive. */
export interface PastPlace {
  readonly place: string
  /** The place may have archives of others. */
  readonly cluster: string
}

export interface PastState extends PastPlace {
  readonly moment: Moment
  readonly incarnation?: string | undefined
}

/** Where a restored file goes. */
export interface RestoredTarget {
  readonly folder: string
  /** Name in that folder; undefined: it stays in `workFolder`, as `DOWNLOAD`. */
  readonly name: string | undefined
  readonly isForced: boolean
  /** A folder on the same disk for what is not whole yet. Whoever asks makes and removes it. */
  readonly workFolder: string
  /** Bytes that stay free on that disk. */
  readonly reserve: number
}

/** In the work folder. */
export const DOWNLOAD = 'download.db'

export type PastOrder =
  | (PastPlace & { readonly kind: 'contents' })
  | (PastState & { readonly kind: 'plan' })
  | (PastState & { readonly kind: 'query' } & Pick<PastQueryOrder, 'sql' | 'rows' | 'timeoutMs'>)
  | (PastState & { readonly kind: 'restore'; readonly target: RestoredTarget })

/** How far a restore is. */
export interface RestoreNews {
  /** EPOCH-TXID. */
  readonly position: string
  readonly bytes: number
  readonly totalBytes: number
}

export interface PastAnswers {
  readonly contents: PastContents
  readonly plan: Omit<PastPlan, 'target'>
  readonly query: PastRows
  readonly restore: RestoreResult
}
