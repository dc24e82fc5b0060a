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
  /** The replica that archives has told what it has archived. */
  onArchived(at: Position): void
  nowMs(): number
}

export class ArchivistGrant implements ArchivistDesk {
  readonly #parts: ArchivistGrantParts
  #node: string | undefined
  #untilMs = 0

  constructor(parts: ArchivistGrantParts) {
    this.#parts = parts
  }

  /** The replica that archives. */
  get holder(): string | undefined {
    return this.#parts.nowMs() < this.#untilMs ? this.#node : undefined
  }

  claim(node: string, archived: Position | undefined): ArchivistAnswer {
    const { role, onArchived, nowMs } = this.#parts
    if (role() !== 'leader')
      throw new WalcastError('NOT_LEADER', { address: 'this node', role: role() ?? 'starting' })
    if (this.holder !== undefined && this.#node !== node) return { archives: false }
    this.#node = node
    this.#untilMs = nowMs() + GRANT_MS
    if (archived) onArchived(archived)
    return { archives: true }
  }

  /** Another leader decides now. */
  end(): void {
    this.#untilMs = 0
  }
}
