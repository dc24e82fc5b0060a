/** What an archiver needs of the engine of a database, in whatever role. */
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import type { Stand } from './batchRecord.ts'

/** Where a database stands, and its pages there. */
export interface SourceState extends Stand {
  /** The pages are ahead of the position, within a large transaction. */
  readonly isOpen: boolean
  readonly pageSize: number
  readonly source: CheckedPages
}

export interface ArchiveSource {
  readonly role: 'leader' | 'replica'
  /** Undefined while there is no whole and trusted database. */
  state(): SourceState | undefined
  /** The incarnation and epoch in which the history of this database passed `txid`. */
  historyAt(txid: number): Pick<Stand, 'incarnation' | 'epoch'>
  /** Messages of the batches after a state, from memory; undefined when some are gone. */
  batchesAfter(state: Stand): readonly Buffer[] | undefined
  /** The leader's clock, ms since 1970. */
  leaderMs(): number
  /** HOST:PORT of the leader; undefined on it, and while none is known. */
  leaderAddress(): string | undefined
  /** Whether this node has replicas, or had some that may come back. */
  hasReplicas(): boolean
  /** Takes in what was committed meanwhile. */
  look(): void
}
