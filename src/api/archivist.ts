/** How the nodes of a cluster agree which of them writes the archive. */
import type { Position } from '../../proto/position.ts'

/** A replica asks its leader whether it may, and again before the grant ends. */
export const ARCHIVIST_PATH = '/_walcast/archivist'

/** For so long a grant holds that is not asked for again, ms. */
export const GRANT_MS = 15_000

export interface ArchivistAnswer {
  readonly archives: boolean
  /** Whether another node would write the archive if this one did not. */
  readonly hasOthers: boolean
}

export interface ArchivistDesk {
  /** Id of the replica that archives; undefined when none does, or this node does not lead. */
  readonly holder: string | undefined
  /**
   * `node`: a replica that would archive. `archived`: what each of its places has. Throws
   * NOT_LEADER.
   */
  claim(node: string, archived: Position | undefined): ArchivistAnswer
  /**
   * `node` gives the archive back, and asks again after `GRANT_MS`: others may go on with files to
   * which it has only a snapshot to add. Throws NOT_LEADER.
   */
  decline(node: string): ArchivistAnswer
}
