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
  /** The highest epoch that this node, or one that it hears, knows. */
  readonly knownEpoch: number
  readonly position: Position
  /** The last txid of its epoch that the leader told it of. */
  readonly leaderTxid: number
  /** Why this node cannot lead whatever others say; empty when nothing speaks against it. */
  readonly reasons: readonly string[]
  /** Undefined when nothing was written, or nothing that this node can read. */
  readonly term: Term | undefined
  /** Something was written that this node cannot read. */
  readonly isForeign: boolean
  /** Notes of other nodes that were written since nobody holds the lease. */
  readonly notes: readonly CandidateNote[]
  /** Whether the node of `term` answers that it leads and takes writes. */
  readonly leaderAnswers: boolean
  /** Whether any node answers that it leads, whether it takes writes or not. */
  readonly someLeads: boolean
  /** Ids of all other members. */
  readonly members: readonly string[]
  /** Where nodes stand that answered since then, by id: those of the notes too. */
  readonly heard: ReadonlyMap<string, Position>
  /** Candidates that are there and have not said where they stand since then. */
  readonly unreported: readonly string[]
  /** Transactions; undefined: none that was acknowledged. */
  readonly maxLoss: number | undefined
  /** By the same clock; a moment of the past when there is none. */
  readonly agreedUntilMs: number
  readonly restUntilMs: number
  /** For people; undefined when role changes are not paused. */
  readonly paused: string | undefined
}

/** `why` is for people. */
export type Candidacy =
  | { readonly does: 'campaign' }
  | { readonly does: 'wait' | 'decline'; readonly why: string }

/** Who led then may lead still, by hand or by what another service says. */
const CURE = 'start all members, or promote one'
const EMPTY = `the lock service does not know who led last: ${CURE}`
const OLD = `what the lock service holds is older than what this node knows: ${CURE}`
const FOREIGN = `what the lock service holds was not written by this cluster, or earlier: ${CURE}`
/** How long others are waited for that should go first, in TTLs. */
const PATIENCE = 1
/** How long those are waited for that have a note and have not written it anew, in TTLs. */
const REPORT_PATIENCE = 0.25
/** How long a leader is waited for whose lease has ended and which may not know it, in TTLs. */
const LEADER_PATIENCE = 1
/** How long the node that the lease was handed to is waited for, in TTLs. */
const HEIR_PATIENCE = 1

export function candidacyOf(input: CandidacyInput): Candidacy {
  const { nowMs, freeSinceMs, ttlMs, term, node, reasons, paused } = input
  const waitedMs = nowMs - freeSinceMs
  if (paused !== undefined) return wait(`role changes are paused until ${paused}`)
  if (nowMs < input.agreedUntilMs)
    return wait('this node has agreed that the leader goes on while the lock service is away')
  if (reasons.length > 0) return { does: 'decline', why: reasons.join('; ') }
  if (!isKnown(input) && !areSure(input)) return { does: 'decline', why: whyUnknown(input) }
  if (nowMs < input.restUntilMs) return wait('another node is to lead, if one can')
  const stillLeads = maybeLeads(input)
  if (stillLeads !== undefined && waitedMs < LEADER_PATIENCE * ttlMs) return wait(stillLeads)
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

/**
 * Whoever led counts on its lease for a TTL at most, also when the service has lost it: its data is
 * gone, or an operator has ended the lease.
 */
function maybeLeads({ term, leaderAnswers }: CandidacyInput): string | undefined {
  return leaderAnswers ? `${term?.node} says that it leads` : undefined
}

/** Whether the service tells who led last. */
function isKnown({ term, knownEpoch }: CandidacyInput): boolean {
  return term !== undefined && term.epoch >= knownEpoch
}

/** Where the service does not tell it, all members do: nobody leads, and this one lacks nothing. */
function areSure({ someLeads, members, heard, position }: CandidacyInput): boolean {
  const isFurthest = [...heard.values()].every((at) => !isFurther(at, position))
  return !someLeads && isFurthest && members.every((each) => heard.has(each))
}

function whyUnknown({ term, isForeign }: CandidacyInput): string {
  return term ? OLD : isForeign ? FOREIGN : EMPTY
}

function wait(why: string): Candidacy {
  return { does: 'wait', why }
}

/** What this node may lack and may not, for people. */
function lackOf(input: CandidacyInput): string | undefined {
  const { term, position, heard, node } = input
  const isAcknowledged = term?.isAcknowledged ?? false
  const maxLoss = input.maxLoss ?? (isAcknowledged ? 0 : Number.POSITIVE_INFINITY)
  if (maxLoss === Number.POSITIVE_INFINITY) return undefined
  // What is counted stands in the term's epoch once it has confirmed anything in it.
  if (term?.counted.includes(node) && position.epoch < term.epoch)
    return `it stands at ${formatPosition(position)}, and was counted in epoch ${term.epoch}`
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
  const missing = (term?.counted ?? []).filter((each) => each !== node && !heard.has(each))
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
