/** What a node tells of itself to who compares nodes: a scrub on demand, and the state checksums of its recent positions. */
import type { FastifyInstance } from 'fastify'
import type { NodeRole } from '../api/nodeView.ts'
import { WalcastError } from '../errors.ts'
import { headerOf } from '../proxy/headers.ts'

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

/** `checks` is undefined while the node starts. */
export function addCheckRoutes(app: FastifyInstance, checks: () => NodeChecks | undefined): void {
  const started = () => {
    const there = checks()
    if (!there) throw new WalcastError('STARTING')
    return there
  }
  app.post(SCRUB_PATH, async (request) => {
    // A web page can send a POST to this machine, though it cannot read the answer.
    if (headerOf(request.raw, 'origin') !== undefined) throw new WalcastError('FOREIGN_PAGE')
    return started().scrub()
  })
  app.get(POSITIONS_PATH, async () => started().positions())
}
