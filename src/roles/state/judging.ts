/** Whether a replica may lead: an operator asks for it, or the leader, which hands over. */
import type { NodePlace, PromoteAnswer } from '../../api/roleAnswers.ts'
import type { PeerAnswer } from '../../cluster/peerAnswer.ts'
import { WalcastError } from '../../errors.ts'
import { MAX_DURATION_MS } from '../../options/optionValues.ts'
import { judge } from '../election/fitness.ts'
import { isBehind } from '../election/precedence.ts'
import { giveUp, settle } from './changeEnd.ts'
import { lead, TOO_LATE } from './promotion.ts'
import { answerOf } from './promotionTold.ts'
import type { RoleRequest } from './roleEvents.ts'
import type { CopyFacts, RoleFacts, RoleRecord } from './roleFacts.ts'
import type { RoleOrder } from './roleOrders.ts'
import type { Following, Judging, Step } from './rolePhases.ts'

type Asked<Type extends RoleRequest['type']> = Extract<RoleRequest, { readonly type: Type }>

/** An operator asks. The others are asked first who leads and where they stand. */
export function whenPromoteAsked(
  facts: RoleFacts,
  { memory }: Following,
  asked: Asked<'promoteAsked'>,
): Step {
  const { request, by, force, dryRun } = asked
  const change = { what: 'a promotion', request }
  return {
    state: { phase: 'judging', memory, change, by, force, dryRun, beganMs: facts.nowMs },
    orders: [{ do: 'ask', whom: facts.everybody }],
  }
}

/** The leader, fenced, asks. */
export function whenTakeOverAsked(
  facts: RoleFacts,
  { memory }: Following,
  asked: Asked<'takeOverAsked'>,
): Step {
  const { request, by, how } = asked
  const change = { what: 'a switchover', request }
  const { copy, record, nowMs } = facts
  const refuse = (detail: string) =>
    giveUp(facts, memory, change, new WalcastError('TAKE_OVER_FAILED', { detail }))
  if (how.to !== record.node) return refuse(`node ${how.to} was meant, not this one`)
  if (!copy) return refuse('it has no whole copy of the database')
  const { position, checksum, isTrusted, state } = copy
  const { epoch, txid } = position
  const isSame = epoch === how.epoch && txid === how.txid && checksum === how.checksum
  if (!isSame || !isTrusted || state === 'syncing')
    return refuse(`it is at ${epoch}-${txid} (${state}), not in the state ${how.epoch}-${how.txid}`)
  if (nowMs > how.until) return refuse(TOO_LATE)
  if (how.until - nowMs > MAX_DURATION_MS) return refuse('the time limit is too far away')
  return lead(facts, memory, change, copy, {
    epoch: Math.max(epoch, record.epoch) + 1,
    reason: `switchover from ${how.from}, by ${by}`,
    by,
    expected: how,
    answers: [],
    asked: undefined,
  })
}

/** Whether anything speaks against it, now that the others have answered. */
export function whenJudging(
  facts: RoleFacts,
  { memory, change, by, force, dryRun, beganMs }: Judging,
  {
    answers,
    unheard,
  }: { readonly answers: readonly PeerAnswer[]; readonly unheard: readonly NodePlace[] },
): Step {
  const { copy, record, address, nowMs } = facts
  if (!copy) return giveUp(facts, memory, change, new WalcastError('STARTING'))
  const verdict = requireFit(copy, record, answers, force || dryRun)
  if (verdict instanceof WalcastError) return giveUp(facts, memory, change, verdict)
  const { reasons, lost } = verdict
  const { epoch, txid } = copy.position
  const about = {
    node: record.node,
    address,
    dryRun,
    reasons,
    lost,
    unheard,
    from: { epoch, txid },
  }
  if (dryRun) {
    const answer = {
      ...about,
      role: copy.role,
      epoch,
      txid,
      oldLeader: null,
      tookMs: nowMs - beganMs,
    }
    return settle(facts, memory, answerOf(change, answer))
  }
  const highest = Math.max(epoch, record.epoch, ...answers.map((answer) => answer.epoch))
  const next = lead(facts, memory, change, copy, {
    epoch: highest + 1,
    reason: `promoted by ${by}`,
    by,
    expected: undefined,
    answers,
    asked: { about, answers, beganMs },
  })
  if (reasons.length === 0) return next
  const forced: RoleOrder = {
    do: 'log',
    level: 'warn',
    about: { by, reasons, lost },
    text: 'promoted by force',
  }
  return { ...next, orders: [forced, ...next.orders] }
}

/** What speaks against its promotion, and what would be lost. */
export function fitnessOf(copy: CopyFacts, record: RoleRecord, answers: readonly PeerAnswer[]) {
  const { hasCopy, isTrusted, state, position, leaderTxid, stoodAt } = copy
  // Whoever does not know of the last promotion may have epochs of its own, which nothing here
  // follows from.
  const heard = answers.filter(({ term }) => term >= record.term)
  const peers = heard.map((each) => ({ ...each, address: each.asked }))
  const isSyncing = state === 'syncing'
  return judge({ hasCopy, isSyncing, isTrusted, position, leaderTxid, stoodAt }, peers)
}

function requireFit(
  copy: CopyFacts,
  record: RoleRecord,
  answers: readonly PeerAnswer[],
  isToPass: boolean,
): WalcastError | Pick<PromoteAnswer, 'reasons' | 'lost'> {
  const { isPossible, reasons, lost } = fitnessOf(copy, record, answers)
  const living = answers.find((answer) => answer.role === 'leader' && !isBehind(answer, record))
  const mayPass = isPossible && isToPass
  if (living && !mayPass)
    return new WalcastError('LEADER_LIVES', {
      node: living.node,
      address: living.asked,
      epoch: living.epoch,
    })
  if (reasons.length > 0 && !mayPass)
    return new WalcastError('NOT_FIT', { detail: reasons.join('; ') })
  const says = living ? [`node ${living.node} at ${living.asked} says that it leads`] : []
  return { reasons: [...says, ...reasons], lost }
}
