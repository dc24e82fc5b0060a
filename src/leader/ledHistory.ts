/** What a leader's history holds, and what of its own history it lacks. */
import {
  type Containment,
  containment,
  containsPosition,
  type Standing,
} from '../../proto/lineage.ts'
import type { Position } from '../../proto/position.ts'
import type { ClaimedState } from '../feed/handshake.ts'
import { isPutBack, type SeenHistory } from '../feed/seenHistory.ts'
import type { PositionRecord } from '../sqlite/positionLog.ts'
import { checksumHex } from '../xxh64.ts'
import type { LeaderIdentity } from './leaderOptions.ts'

export interface LedHistoryHost {
  standing(): Standing
  /** State checksum there, as hex; '' within a transaction. */
  checksum(): string
  /** The positions on record, oldest first. */
  records(): readonly PositionRecord[]
}

export class LedHistory {
  readonly #identity: Pick<LeaderIdentity, 'node' | 'lineage' | 'term'>
  readonly #host: LedHistoryHost

  constructor(identity: Pick<LeaderIdentity, 'node' | 'lineage' | 'term'>, host: LedHistoryHost) {
    this.#identity = identity
    this.#host = host
  }

  /** Whether the history contains it, as far as numbers tell: a client brings nothing else. */
  contains(position: Position): boolean {
    return containsPosition(this.#host.standing(), this.#identity.lineage(), position)
  }

  /**
   * Judges by the history, and by the content where a checksum is claimed. A position that is on
   * record with another checksum is not part of this history, whatever its numbers say. A state on
   * record that is part of the history proves itself.
   */
  containment({ point, checksum }: ClaimedState): Containment {
    const lineage = this.#identity.lineage()
    const standing = this.#host.standing()
    const byHistory = containment(standing, lineage, point)
    if (checksum === '') return byHistory
    if (checksum === this.#host.checksum()) return 'proven'
    const records = this.#host.records()
    const isProven = (record: PositionRecord) =>
      checksumHex(record.checksum) === checksum &&
      containment(standing, lineage, record) === 'proven'
    if (records.some(isProven)) return 'proven'
    const isContrary = (record: PositionRecord) =>
      record.incarnation === point.incarnation &&
      record.txid === point.txid &&
      checksumHex(record.checksum) !== checksum
    return records.some(isContrary) ? 'unknown' : byHistory
  }

  /**
   * Whether the epoch must be raised above what the node has seen, since its numbers are ambiguous.
   * Either this node led there, and lacks it now. Or two nodes have begun the same epoch. `leader`
   * led in the highest epoch that the node knows.
   */
  lacks(seen: SeenHistory, leader: string): boolean {
    const { node, lineage, term } = this.#identity
    const standing = this.#host.standing()
    const isSameEpoch = seen.highestEpoch === standing.epoch && seen.term === term()
    return (leader === node || isSameEpoch) && isPutBack(standing, lineage(), seen)
  }
}
