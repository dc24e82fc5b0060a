/** How a leader is made to follow: by an operator, in order, or by another leader, at once. */
import { WalcastError } from '../../errors.ts'
import { carryOn, giveUp, redirect } from './changeEnd.ts'
import type { RoleEvent, RoleRequest } from './roleEvents.ts'
import type { RoleFacts } from './roleFacts.ts'
import type { RoleOrder } from './roleOrders.ts'
import {
  type Change,
  type Demoting,
  type Following,
  type Leading,
  type Step,
  stay,
} from './rolePhases.ts'
import { stepDown } from './stepDown.ts'
import { yieldTo } from './yielding.ts'

type DemoteAsked = Extract<RoleRequest, { readonly type: 'demoteAsked' }>

export function whenDemoteAsked(
  facts: RoleFacts,
  state: Leading | Following,
  asked: DemoteAsked,
): Step {
  const { memory } = state
  const { request, by, leader, epoch } = asked
  const { record, address } = facts
  const change: Change = { what: 'a demotion', request }
  const refuse = (error: WalcastError) => giveUp(facts, memory, change, error)
  const isStale = epoch !== undefined && epoch < record.epoch
  const stale = new WalcastError('STALE_LEADER', { mine: record.epoch, theirs: epoch ?? 0 })
  if (state.phase === 'following') {
    if (leader === undefined)
      return refuse(new WalcastError('NOT_LEADER', { address, role: record.role }))
    return isStale ? refuse(stale) : redirect(facts, memory, leader, record.epoch, change)
  }
  if (epoch === undefined) return demote(state, change, leader, by)
  if (epoch <= record.epoch) return refuse(stale)
  return stepDown(memory, change, `demoted by ${by}`, leader)
}

export function whenDemoting(facts: RoleFacts, state: Demoting, event: RoleEvent): Step {
  const { memory, change, stage, leader, by } = state
  const timeoutMs = facts.rules.switchoverTimeoutMs
  if (event.type === 'failed')
    return carryOn(facts, { memory, change, error: event.error, release: undefined })
  switch (stage) {
    case 'endingCheckpoints':
      if (event.type !== 'checkpointsEnded') break
      return to(state, 'quieting', { do: 'awaitQuiet', timeoutMs })
    case 'quieting':
      if (event.type !== 'quiet') break
      return to(state, 'fencing', { do: 'takeFence', timeoutMs })
    case 'fencing':
      if (event.type !== 'fenced') break
      return to(state, 'draining', { do: 'drain' })
    case 'draining':
      if (event.type !== 'drained') break
      return to(state, 'levelling', { do: 'awaitAllLevel', txid: event.txid, timeoutMs })
    case 'levelling':
      if (event.type !== 'levelled') break
      return to(state, 'recording', ...late(event.isLevel), {
        do: 'recordFollowing',
        leader: leader ?? '',
        how: 'update',
      })
    case 'recording':
      if (event.type !== 'recorded') break
      return yieldTo(memory, change, {
        leader,
        reason: `demoted by ${by}`,
        by,
        end: { of: 'demotion' },
      })
  }
  return stay(state)
}

function demote({ memory }: Leading, change: Change, leader: string | undefined, by: string): Step {
  return {
    state: { phase: 'demoting', memory, change, stage: 'endingCheckpoints', leader, by },
    orders: [
      { do: 'holdWrites', for: 'change', reason: 'this node is being demoted' },
      { do: 'endCheckpoints' },
    ],
  }
}

function late(isLevel: boolean): RoleOrder[] {
  if (isLevel) return []
  const text = 'not every replica has confirmed all that was committed here'
  return [{ do: 'log', level: 'warn', about: {}, text }]
}

function to(state: Demoting, stage: Demoting['stage'], ...orders: readonly RoleOrder[]): Step {
  return { state: { ...state, stage }, orders }
}
