/**
 * Whether a node campaigns for a lease that nobody holds. Pure. Of the nodes that may lead, the one
 * that is furthest goes first, then the one with the higher priority, then the lower id; the others
 * wait for it a while. A node that may lack what was acknowledged waits for those that may have it,
 * and declines when they do not come.
 */
import { formatPosition, isFurther, type Position } from '../../../proto/position.ts'
import type { CandidateNote, Term } from './electionRecord.ts'

export interface CandidacyInput {
  readonly nowMs: number
  /** Since when, by the same clock, this node knows that nobody holds the lease. */
  readonly freeSinceMs: number
  readonly ttlMs: number
  readonly node: string
  readonly priority: number
  readonly position: Position
  /** The last txid of its epoch that the leader told it of. */
  readonly leaderTxid: number
  /** Why this node cannot lead whatever others say; empty when nothing speaks against it. */
  readonly reasons: readonly string[]
  /** Undefined when nothing was ever written, or not by this cluster. */
  readonly term: Term | undefined
  /** Notes of other nodes that were written since nobody holds the lease. */
  readonly notes: readonly CandidateNote[]
  /** Where nodes stand that answered since then, by id: those of the notes too. */
  readonly heard: ReadonlyMap<string, Position>
  /** Candidates that are there and have not said where they stand since then. */
  readonly unreported: readonly string[]
  /** Transactions; undefined: none that was acknowledged. */
  readonly maxLoss: number | undefined
  /** What counts while there is no term: the service was emptied, or a stranger wrote to it. */
  readonly withoutTerm: WithoutTerm
  /** By the same clock; a moment of the past when there is none. */
  readonly agreedUntilMs: number
  readonly restUntilMs: number
  /** For people; undefined when role changes are not paused. */
  readonly paused: string | undefined
}

/** As this node knows it by itself. */
export interface WithoutTerm {
  /** Whether its `--ack` waits for replicas. */
  readonly isAcknowledged: boolean
  /** Ids of the other members, the leader that it followed last left out. */
  readonly others: readonly string[]
}

/** `why` is for people. */
export type Candidacy =
  | { readonly does: 'campaign' }
  | { readonly does: 'wait' | 'decline'; readonly why: string }

/** How long others are waited for that should go first, in TTLs. */
const PATIENCE = 1
/** How long those are waited for that have a note and have not written it anew, in TTLs. */
const REPORT_PATIENCE = 0.25
/** How long the node that the lease was handed to is waited for, in TTLs. */
const HEIR_PATIENCE = 1

export function candidacyOf(input: CandidacyInput): Candidacy {
  const { nowMs, freeSinceMs, ttlMs, term, node, reasons, paused } = input
  const waitedMs = nowMs - freeSinceMs
  if (paused !== undefined) return wait(`role changes are paused until ${paused}`)
  if (nowMs < input.agreedUntilMs)
    return wait('this node has agreed that the leader goes on while the lock service is away')
  if (reasons.length > 0) return { does: 'decline', why: reasons.join('; ') }
  if (nowMs < input.restUntilMs) return wait('another node is to lead, if one can')
  const heir = term?.heir ?? ''
  if (heir !== '' && heir !== node && waitedMs < HEIR_PATIENCE * ttlMs)
    return wait(`the lease was handed to ${heir}`)
  const [unreported] = heir === node ? [] : input.unreported
  if (unreported !== undefined && waitedMs < REPORT_PATIENCE * ttlMs)
    return wait(`${unreported} has not said yet where it stands`)
  const lack = lackOf(input)
  if (lack !== undefined)
    return waitedMs < PATIENCE * ttlMs ? wait(lack) : { does: 'decline', why: lack }
  const first = heir === node ? undefined : betterThan(input)
  if (first && waitedMs < PATIENCE * ttlMs) return wait(`${first.node} goes first`)
  return { does: 'campaign' }
}

function wait(why: string): Candidacy {
  return { does: 'wait', why }
}

/** What this node may lack and may not, for people. */
function lackOf(input: CandidacyInput): string | undefined {
  const { term, position, heard, node, withoutTerm } = input
  const isAcknowledged = term?.isAcknowledged ?? withoutTerm.isAcknowledged
  const maxLoss = input.maxLoss ?? (isAcknowledged ? 0 : Number.POSITIVE_INFINITY)
  if (maxLoss === Number.POSITIVE_INFINITY) return undefined
  const further: { readonly of: string; readonly at: Position }[] = []
  if (term) further.push({ of: `what ${term.node} had acknowledged`, at: term.floor })
  // What no other node confirmed was acknowledged to nobody.
  if (!isAcknowledged)
    further.push({
      of: term?.node ?? 'the leader',
      at: { epoch: position.epoch, txid: input.leaderTxid },
    })
  for (const [of, at] of heard) if (of !== term?.node) further.push({ of, at })
  for (const { of, at } of further) {
    const behind = behindBy(position, at)
    if (behind !== undefined && behind > maxLoss) return lackText(of, at, position)
  }
  if (!isAcknowledged) return undefined
  const missing = (term?.counted ?? withoutTerm.others).filter(
    (each) => each !== node && !heard.has(each),
  )
  if (missing.length === 0) return undefined
  return `${missing.join(' and ')} may hold acknowledged writes, and is not heard of`
}

/** Undefined when `at` is not further; infinite when the number is not known. */
function behindBy(position: Position, at: Position): number | undefined {
  if (!isFurther(at, position)) return undefined
  return at.epoch === position.epoch ? at.txid - position.txid : Number.POSITIVE_INFINITY
}

function lackText(of: string, at: Position, position: Position): string {
  if (at.epoch !== position.epoch)
    return `it stands at ${formatPosition(position)}, behind ${of} at ${formatPosition(at)}`
  const count = at.txid - position.txid
  return `${count} ${count === 1 ? 'transaction' : 'transactions'} behind ${of}`
}

/** Who may lead and is to go first. */
function betterThan({
  notes,
  position,
  priority,
  node,
}: CandidacyInput): CandidateNote | undefined {
  return notes.find((note) => {
    if (!note.mayLead || note.node === node) return false
    if (isFurther(note.position, position)) return true
    if (isFurther(position, note.position)) return false
    if (note.priority !== priority) return note.priority > priority
    return note.node < node
  })
}
