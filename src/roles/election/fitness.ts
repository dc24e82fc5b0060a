/** Whether a replica may be promoted, and what would be lost. */
import { formatPosition, isFurther, type Position } from '../../../proto/position.ts'

export interface Candidate {
  readonly hasCopy: boolean
  /** A copy or comparison is under way. */
  readonly isSyncing: boolean
  /** False while its content is known to differ from the leader's. */
  readonly isTrusted: boolean
  readonly position: Position
  /** The last txid of its epoch that the leader told it of. */
  readonly leaderTxid: number
  /** Where its copy once stood, if that is further than its position. */
  readonly stoodAt: Position | undefined
}

/** What another node of the cluster answered. */
export interface Peer {
  readonly node: string
  readonly address: string
  readonly role: string
  readonly epoch: number
  readonly txid: number
}

export interface Loss {
  /** Transactions that are known to be missing here; null when their number is not known. */
  readonly transactions: number | null
  readonly detail: string
}

export interface Fitness {
  /** What speaks against it, for people; empty when nothing does. */
  readonly reasons: readonly string[]
  readonly lost: Loss | null
  /** Not even force makes a leader of a node without a database. */
  readonly isPossible: boolean
}

/** Pure. `peers` are those that answered; the node itself is not among them. */
export function judge(candidate: Candidate, peers: readonly Peer[]): Fitness {
  const { hasCopy, isSyncing, isTrusted } = candidate
  if (!hasCopy)
    return { isPossible: false, reasons: ['it has no whole copy of the database'], lost: null }
  const reasons: string[] = []
  if (isSyncing) reasons.push('it is being brought to the state of its leader')
  if (!isTrusted) reasons.push("its content is known to differ from its leader's")
  const missing = missingHere(candidate, peers)
  if (missing) reasons.push(missing.detail)
  const isUnsure = isSyncing || !isTrusted
  const lost = missing ?? (isUnsure ? { transactions: null, detail: reasons.join('; ') } : null)
  return {
    isPossible: true,
    reasons,
    lost: isUnsure && lost ? { ...lost, transactions: null } : lost,
  }
}

/**
 * The freshness floor: what the leader told of, what any node that answered has, and what this one
 * once had.
 */
function missingHere(
  { position, leaderTxid, stoodAt }: Candidate,
  peers: readonly Peer[],
): Loss | undefined {
  const further = peers
    .filter((peer) => isFurther(peer, position))
    .sort((a, b) => b.epoch - a.epoch || b.txid - a.txid)[0]
  if (further && (further.epoch > position.epoch || further.txid >= leaderTxid))
    return {
      transactions: further.epoch === position.epoch ? further.txid - position.txid : null,
      detail:
        `node ${further.node} at ${further.address} is at ${formatPosition(further)}, ` +
        `this one at ${formatPosition(position)}`,
    }
  if (leaderTxid > position.txid)
    return {
      transactions: leaderTxid - position.txid,
      detail:
        `the leader told of ${formatPosition({ epoch: position.epoch, txid: leaderTxid })}, ` +
        `this node is at ${formatPosition(position)}`,
    }
  if (stoodAt && isFurther(stoodAt, position))
    return {
      transactions: stoodAt.epoch === position.epoch ? stoodAt.txid - position.txid : null,
      detail:
        `this copy once stood at ${formatPosition(stoodAt)} and is at ` +
        `${formatPosition(position)}: it was put back, or lost what was not synced`,
    }
  return undefined
}
