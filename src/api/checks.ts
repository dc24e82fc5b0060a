/** What a node answers about its own checks and its recent positions. */

import type { NodeRole } from './roleAnswers.ts'

export const SCRUB_PATH = '/_walcast/scrub'
export const POSITIONS_PATH = '/_walcast/positions'

/** The outcome of a pass over all pages; the position is the one at its end. */
export interface ScrubAnswer {
  readonly node: string
  readonly cluster: string
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
  readonly pages: number
  readonly pageSize: number
  readonly pagesRead: number
  /** Whether the pass read the disk, not the page cache. */
  readonly direct: boolean
  /** False when the pass ended early because too many pages are rotten. */
  readonly whole: boolean
  /** The first of the rotten pages that this pass found. */
  readonly rotten: readonly number[]
  readonly rottenPages: number
  /** How much is known to be wrong now, by earlier passes too. */
  readonly unexplained: number
  readonly seconds: number
}

export interface PositionsAnswer {
  readonly node: string
  readonly cluster: string
  readonly role: NodeRole
  readonly state: string
  readonly pageSize: number
  /** The oldest comes first. Empty while the content is known to differ from the leader's. */
  readonly positions: readonly {
    readonly epoch: number
    readonly txid: number
    readonly checksum: string
  }[]
}

export interface NodeChecks {
  /** Reads every page now, at full speed. Joins such a pass when one is under way. */
  scrub(): Promise<ScrubAnswer>
  positions(): PositionsAnswer
}
