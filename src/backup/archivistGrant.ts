/**
 * The leader's side of the question which node writes the archive: one replica after another, the
 * leader itself while no replica asks.
 *
 * Two nodes that write at once do no harm, as files of one position are alike. So a grant is a
 * matter of cost, and may end by the clock of each node.
 */
import { GRANT_MS } from '../api/archivist.ts'

export class ArchivistGrant {
  #node: string | undefined
  #untilMs = 0

  /** Whether the replica `node` archives for the next GRANT_MS. */
  claim(node: string, nowMs: number): boolean {
    if (this.holder(nowMs) !== undefined && this.#node !== node) return false
    this.#node = node
    this.#untilMs = nowMs + GRANT_MS
    return true
  }

  /** The replica that archives. */
  holder(nowMs: number): string | undefined {
    return nowMs < this.#untilMs ? this.#node : undefined
  }

  /** Another leader decides now. */
  end(): void {
    this.#untilMs = 0
  }
}
