/**
 * How far a node believes the epochs and txids that other nodes claim.
 *
 * Nodes adopt the highest epoch that they hear of, and number their own above it. So one false
 * number close to the last that can be written down would stay in every role file, with no room
 * above it. A node believes a number only up to MAX_AHEAD above the highest that it knows itself. A
 * node that knows none yet, before its first copy, believes any up to MAX_COUNTED.
 *
 * Who claims a number is judged before: nothing here makes a stranger's number believable.
 */
import { MAX_AHEAD, MAX_COUNTED } from '../../proto/limits.ts'
import { parseTrail } from '../../proto/lineage.ts'
import { type Position, parsePosition } from '../../proto/position.ts'
import { type ErrorDetails, WalcastError } from '../errors.ts'

/** What of another node's words is refused. */
export type ClaimKind = 'epoch' | 'txid' | 'node' | 'address' | 'member' | 'time'

/** The highest that a node knows itself; 0 while it knows none. */
export interface Known {
  readonly epoch: number
  readonly txid: number
}

/** Whether a node that knows `known` itself believes the number `claimed`. */
export function isBelievable(claimed: unknown, known: number): boolean {
  if (!Number.isSafeInteger(claimed)) return false
  const highest = known === 0 ? MAX_COUNTED : Math.min(MAX_COUNTED, known + MAX_AHEAD)
  return Number(claimed) >= 0 && Number(claimed) <= highest
}

/** Fields of messages and answers that hold an epoch. */
const EPOCHS = ['epoch', 'highestEpoch', 'term', 'afterEpoch', 'positionEpoch'] as const
/** Those that hold a txid. */
const TXIDS = ['txid', 'fromTxid', 'durableTxid'] as const

/** A message or an answer: only these fields are looked at. */
type Claim = Readonly<
  Partial<Record<(typeof EPOCHS)[number] | (typeof TXIDS)[number], unknown>>
> & {
  /** A trail. */
  readonly history?: unknown
}

/** What of a message or an answer is not believed, and how it reads. */
export interface Unbelievable {
  readonly kind: 'epoch' | 'txid'
  readonly claimed: number
}

/** The first number that is not believed; undefined when all are. Pure. */
export function unbelievableIn(claim: object, known: Known): Unbelievable | undefined {
  const fields: Claim = claim
  for (const name of EPOCHS) {
    const claimed = fields[name]
    if (claimed !== undefined && !isBelievable(claimed, known.epoch))
      return { kind: 'epoch', claimed: Number(claimed) }
  }
  for (const name of TXIDS) {
    const claimed = fields[name]
    if (claimed !== undefined && !isBelievable(claimed, known.txid))
      return { kind: 'txid', claimed: Number(claimed) }
  }
  const { history } = fields
  if (typeof history !== 'string' || history === '') return undefined
  const far = parseTrail(history)?.find(({ txid }) => !isBelievable(txid, known.txid))
  return far && { kind: 'txid', claimed: far.txid }
}

/** Judges the claims of other nodes for one node, and counts those that it refuses. */
export class Claims {
  readonly #known: () => Known
  readonly #onRefused: (kind: ClaimKind, details: ErrorDetails) => void

  /**
   * `known` is read for each claim, on the hot path. `onRefused` hears of each that is refused, and
   * must not throw.
   */
  constructor(
    known: () => Known,
    onRefused: (kind: ClaimKind, details: ErrorDetails) => void = () => {},
  ) {
    this.#known = known
    this.#onRefused = onRefused
  }

  /** CLAIM_REFUSED for the first number of a message or an answer that is not believed. */
  refuse(claim: object): WalcastError | undefined {
    const known = this.#known()
    const wrong = unbelievableIn(claim, known)
    if (!wrong) return undefined
    const { kind, claimed } = wrong
    const details = { what: kind, claimed, known: known[kind] }
    this.#onRefused(kind, details)
    return new WalcastError('CLAIM_REFUSED', details)
  }

  /** Throws CLAIM_REFUSED. */
  require(claim: object): void {
    const refused = this.refuse(claim)
    if (refused) throw refused
  }

  /** The position that another node tells as `EPOCH-TXID`; undefined when it is none or refused. */
  positionIn(text: string | undefined): Position | undefined {
    const position = parsePosition(text ?? '')
    return position && this.refuse(position) ? undefined : position
  }

  /** Something else that another node said was refused. */
  count(kind: Exclude<ClaimKind, 'epoch' | 'txid'>, details: ErrorDetails = {}): void {
    this.#onRefused(kind, details)
  }
}
