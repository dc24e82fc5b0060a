/** What a node asks the process of a drill, and what it answers: one line of JSON each way. */
import type { ErrorCode } from '../../errors.ts'

/** The newest position that a place has, as the node sees it. */
export interface DrillTarget {
  readonly incarnation: string
  readonly epoch: number
  readonly txid: number
}

export interface DrillOrder {
  readonly place: string
  readonly cluster: string
  readonly target: DrillTarget
  /** State checksum that the node itself knows of the target, 16 hex digits. */
  readonly checksum?: string | undefined
  /** An empty folder for the database. Whoever asks removes it. */
  readonly folder: string
  /** A query of the operator. */
  readonly check?: string | undefined
  /** Bytes read in a second. */
  readonly rate: number
  /** Bytes that stay free on the disk of `folder`. */
  readonly reserve: number
}

/** `checked`: the place is encrypted, and so only its files and their order were verified. */
export type DrillKind = 'proven' | 'checked'

export type DrillAnswer =
  | { readonly kind: DrillKind; readonly bytes: number }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
