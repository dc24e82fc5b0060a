/** What a node answers of its own checks and of where its pages stand. */

import type { NodeRole } from './roleAnswers.ts'

export const SCRUB_PATH = '/_walcast/scrub'
export const POSITIONS_PATH = '/_walcast/positions'
/** Of a pass over all pages, which ended at this position. */
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
  /** Whether they were read from the disk rather than from the page cache. */
  readonly direct: boolean
  /** False when it ended early, because too many pages are rotten. */
  readonly whole: boolean
  /** Pages that this pass found to be rotten, the first of them. */
  readonly rotten: readonly number[]
  readonly rottenPages: number
  /** What is known to be wrong now: pages found by earlier passes too. */
  readonly unexplained: number
  readonly seconds: number
}

export interface PositionsAnswer {
  readonly node: string
  readonly cluster: string
  readonly role: NodeRole
  readonly state: string
  readonly pageSize: number
  /** Oldest first; empty while the content is known to differ from the leader's. */
  readonly positions: readonly {
    readonly epoch: number
    readonly txid: number
    readonly checksum: string
  }[]
}

export interface NodeChecks {
  /** Reads every page at once, at full speed. Joins such a pass that is under way. */
  scrub(): Promise<ScrubAnswer>
  positions(): PositionsAnswer
}
