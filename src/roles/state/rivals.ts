/** What follows from what other nodes say of who leads. */
import { parseTrail } from '../../../proto/lineage.ts'
import type { PeerAnswer } from '../../cluster/peerAnswer.ts'
import type { HigherEpoch } from '../../database/engine.ts'
import { WalcastError } from '../../errors.ts'
import { isPutBack, type SeenHistory } from '../../feed/seenHistory.ts'
import { isBehind, leaderAmong, leaderFor, rivalAmong } from '../election/precedence.ts'
import { redirect, releaseOf, settle } from './changeEnd.ts'
import type { RoleFacts, RoleRecord } from './roleFacts.ts'
import type { RoleMemory } from './roleMemory.ts'
import type { RoleOrder } from './roleOrders.ts'
import {
  type Asking,
  type Change,
  type Following,
  type Leading,
  type Step,
  stay,
} from './rolePhases.ts'
import { raise, raiseAboveLost, stepDown } from './stepDown.ts'

const LOOKING_INTO: Change = { what: 'looking into a higher epoch', request: undefined }
const GIVING_WAY: Change = { what: 'giving way', request: undefined }
const RAISING: Change = { what: 'raising the epoch', request: undefined }

/** The others were asked who leads. */
export function onAnswers(
  facts: RoleFacts,
  state: Leading | Following,
  answers: readonly PeerAnswer[],
): Step {
  return state.phase === 'leading'
    ? whenLeading(facts, state, answers)
    : whenFollowing(facts, state, answers)
}

/** A node that is there has been in a higher epoch than this leader. */
export function lookInto({ members }: RoleFacts, { memory }: Leading, by: HigherEpoch): Step {
  const { node, epoch, term, address } = by
  const known = members.find((each) => each.node === node)?.address ?? ''
  const whom = [address, known].filter(Boolean)
  return {
    state: { phase: 'asking', memory, change: LOOKING_INTO, told: { node, epoch, term } },
    orders: [
      { do: 'holdWrites', for: 'rival', reason: 'another node may lead' },
      { do: 'ask', whom, isOfOne: true },
    ],
  }
}

export function whenAsking(facts: RoleFacts, state: Asking, answers: readonly PeerAnswer[]): Step {
  return state.told
    ? onLookedInto(facts, state, state.told, answers)
    : onAskedAfterStandstill(facts, state, answers)
}

/** Nodes have what this leader lacks of its own history. */
export function onPutBack(
  facts: RoleFacts,
  { memory }: Leading,
  seen: readonly SeenHistory[],
): Step {
  return raiseAboveLost(facts, memory, RAISING, seen, undefined)
}

/**
 * Whether this node may begin to lead: what others have seen of its own history, or the error that
 * says why not and who leads.
 */
export function judgeStart(
  { record }: RoleFacts,
  answers: readonly PeerAnswer[],
):
  | { readonly own: readonly SeenHistory[] }
  | { readonly error: WalcastError; readonly rival: string } {
  const { own, others } = sorted(record, answers)
  const rival = rivalAmong(others, record)
  if (!rival) return { own }
  const { node, epoch } = rival
  const error = new WalcastError('HIGHER_EPOCH', { node, theirs: epoch, mine: record.epoch })
  return { error, rival: leaderFor(rival) ?? '' }
}

function whenLeading(facts: RoleFacts, state: Leading, all: readonly PeerAnswer[]): Step {
  const { record, led } = facts
  const { own, others } = sorted(record, all)
  const rival = rivalAmong(others, record)
  if (rival) return giveWay(facts, state.memory, rival)
  if (led && own.some((seen) => isPutBack(led.position, record.lineage, seen)))
    return onPutBack(facts, state, own)
  const { epoch: mine } = record
  if (others.some(({ role, epoch }) => epoch > mine || (role === 'leader' && epoch === mine)))
    return raiseAbove(facts, state.memory, RAISING, others, undefined)
  const leaders = others.filter(({ role }) => role === 'leader')
  return { state, orders: leaders.flatMap(tellToGiveWay) }
}

function tellToGiveWay({ node, asked: address, epoch }: PeerAnswer): RoleOrder[] {
  const text = 'another node leads too: it is told to give way'
  return [
    { do: 'log', level: 'error', about: { node, address, epoch }, text },
    { do: 'tellInBackground', address, about: { node, address }, text: 'it was not to be told' },
  ]
}

function whenFollowing(facts: RoleFacts, state: Following, answers: readonly PeerAnswer[]): Step {
  const { record, copy } = facts
  const best = leaderAmong(answers, record)
  if (!best || best.asked === copy?.leaderAddress) return stay(state)
  // What feeds this node goes on to, unless it is from before the leader that was found.
  if (copy?.connected && !isBehind(record, best)) return stay(state)
  return redirect(facts, state.memory, best.asked)
}

function giveWay(facts: RoleFacts, memory: RoleMemory, rival: PeerAnswer): Step {
  const { node, epoch, asked } = rival
  const mine = facts.record.epoch
  const why =
    epoch === mine ? `leads in epoch ${epoch} too and has the higher id` : `is in epoch ${epoch}`
  return stepDown(memory, GIVING_WAY, `node ${node} ${why}`, leaderFor(rival), [
    {
      do: 'log',
      level: 'error',
      about: { node, address: asked, theirs: epoch, mine },
      text: 'two nodes lead: this one gives way',
    },
  ])
}

function onLookedInto(
  facts: RoleFacts,
  { memory, change }: Asking,
  { node, epoch, term }: NonNullable<Asking['told']>,
  answers: readonly PeerAnswer[],
): Step {
  // Somebody else may answer there by now, this node itself too: nothing is known of the one that
  // said so then, and its word counts.
  const theirs = answers.find((each) => each.node === node)
  const told = theirs ?? { epoch, term: term ?? epoch }
  if (isBehind(told, facts.record)) return raiseAbove(facts, memory, change, [told], 'rival')
  if (isBehind(facts.record, told))
    return stepDown(
      memory,
      change,
      `node ${node} has been in epoch ${epoch}`,
      theirs && leaderFor(theirs),
    )
  return settle(facts, memory, releaseOf('rival'))
}

function onAskedAfterStandstill(
  facts: RoleFacts,
  { memory, change }: Asking,
  answers: readonly PeerAnswer[],
): Step {
  const { own, others } = sorted(facts.record, answers)
  const rival = rivalAmong(others, facts.record)
  if (!rival) return raiseAboveLost(facts, memory, change, own, 'frozen')
  return stepDown(memory, change, `node ${rival.node} is in epoch ${rival.epoch}`, leaderFor(rival))
}

/**
 * Others know nothing of the last promotion and have begun later epochs by themselves: this one's
 * must be above them to be followed.
 */
function raiseAbove(
  { record }: RoleFacts,
  memory: RoleMemory,
  change: Change,
  others: readonly { readonly epoch: number }[],
  release: 'rival' | undefined,
): Step {
  const epoch = Math.max(record.epoch, ...others.map((each) => each.epoch)) + 1
  const reason = `epochs up to ${epoch - 1} were begun without knowing of the last promotion`
  return raise(memory, change, reason, { of: 'epochs', epoch }, release)
}

/**
 * What replicas have of this node's own history or of another in its epoch, and the answers of all
 * others.
 */
function sorted(
  mine: RoleRecord,
  answers: readonly PeerAnswer[],
): { readonly own: SeenHistory[]; readonly others: PeerAnswer[] } {
  const isOwn = ({ role, lastLeader, epoch, term }: PeerAnswer) =>
    role !== 'leader' && (lastLeader === mine.node || (epoch === mine.epoch && term === mine.term))
  return { own: answers.filter(isOwn).map(seenBy), others: answers.filter((each) => !isOwn(each)) }
}

function seenBy({ node, positionEpoch, txid, history, epoch, term }: PeerAnswer): SeenHistory {
  return {
    node,
    epoch: positionEpoch,
    txid,
    trail: parseTrail(history) ?? [],
    highestEpoch: epoch,
    term,
  }
}
