/**
 * The leader's side of the question which node writes the archive: one replica after another, the
 * leader itself while no replica asks. A leader without an archive of its own answers it as well.
 *
 * Two nodes that write at once do no harm, as files of one position are alike. So a grant is a
 * matter of cost, and may end by the clock of each node.
 */
import type { Position } from '../../proto/position.ts'
import { type ArchivistAnswer, type ArchivistDesk, GRANT_MS } from '../api/archivist.ts'
import { WalcastError } from '../errors.ts'

export interface ArchivistGrantParts {
  /** Of this node; undefined while it has none. */
  role(): string | undefined
  /** Whether this node writes the archive itself while no replica does. */
  readonly mayArchive: boolean
  /** The replica that archives has told what it has archived. */
  onArchived(at: Position): void
  nowMs(): number
}

/** Replicas whose last question is remembered. In an open cluster anybody asks. */
const MAX_ASKERS = 64

export class ArchivistGrant implements ArchivistDesk {
  readonly #parts: ArchivistGrantParts
  #node: string | undefined
  #untilMs = 0
  #isDeclined = false
  /** When each replica asked last, which would archive; the one that asked first comes first. */
  readonly #askedMs = new Map<string, number>()

  constructor(parts: ArchivistGrantParts) {
    this.#parts = parts
  }

  /** The replica that archives. */
  get holder(): string | undefined {
    return this.#parts.nowMs() < this.#untilMs ? this.#node : undefined
  }

  /** A replica gave the archive back, and none has taken it since. */
  get isDeclined(): boolean {
    return this.#isDeclined && this.holder === undefined
  }

  claim(node: string, archived: Position | undefined): ArchivistAnswer {
    const { onArchived, nowMs } = this.#parts
    this.#requireLeader()
    this.#askedMs.delete(node)
    this.#askedMs.set(node, nowMs())
    const [first] = this.#askedMs.keys()
    if (this.#askedMs.size > MAX_ASKERS) this.#askedMs.delete(first)
    const hasOthers = this.#hasOthers(node)
    if (this.holder !== undefined && this.#node !== node) return { archives: false, hasOthers }
    this.#node = node
    this.#untilMs = nowMs() + GRANT_MS
    this.#isDeclined = false
    if (archived) onArchived(archived)
    return { archives: true, hasOthers }
  }

  decline(node: string): ArchivistAnswer {
    this.#requireLeader()
    this.#askedMs.delete(node)
    if (this.holder === node) this.#untilMs = 0
    this.#isDeclined = true
    return { archives: false, hasOthers: this.#hasOthers(node) }
  }

  /** Another leader decides now. */
  end(): void {
    this.#untilMs = 0
    this.#isDeclined = false
    this.#askedMs.clear()
  }

  #requireLeader(): void {
    const role = this.#parts.role()
    if (role !== 'leader')
      throw new WalcastError('NOT_LEADER', { address: 'this node', role: role ?? 'starting' })
  }

  #hasOthers(node: string): boolean {
    const { mayArchive, nowMs } = this.#parts
    const sinceMs = nowMs() - GRANT_MS
    return mayArchive || [...this.#askedMs].some(([each, ms]) => each !== node && ms > sinceMs)
  }
}
