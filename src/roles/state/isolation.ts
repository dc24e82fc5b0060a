/**
 * A leader that may have been replaced: its lease has run out, or with `--fence-when-alone` it
 * hears no replica. Nobody writes until that has changed. Both ways in are closed: requests are
 * refused before they reach the application, and its own connections find the write lock taken.
 */
import { keyOf, WalcastError } from '../../errors.ts'
import { giveUp, settle } from './changeEnd.ts'
import { leaseProblem } from './leaseProblem.ts'
import type { RoleEvent } from './roleEvents.ts'
import type { LedFacts, RoleFacts } from './roleFacts.ts'
import type { RoleOrder } from './roleOrders.ts'
import {
  type FencingAlone,
  type Leading,
  type OpeningAgain,
  type Step,
  stay,
} from './rolePhases.ts'

/**
 * One attempt to take the fence from a transaction that does not end: meanwhile no other change of
 * role can be.
 */
const FENCE_TRY_MS = 50

export function lookWhetherClosed(facts: RoleFacts, state: Leading): Step {
  const { nowMs, led, rules, lease } = facts
  if (!led || (rules.fenceWhenAloneMs === undefined && !lease)) return stay(state)
  // Whoever has just come to lead is given the time; one whose change of role came to nothing is
  // not.
  const { aloneSinceMs, isClosed, isEnded } = state.memory
  if (aloneSinceMs === undefined)
    return lookWhetherClosed(facts, {
      ...state,
      memory: { ...state.memory, aloneSinceMs: nowMs },
    })
  const error = leaseProblem(facts) ?? aloneProblem(facts, led, aloneSinceMs)
  // A node that stops lets nobody in again, and still keeps out whom it must.
  if (error ? led.isFenced && isClosed : isEnded || !isClosed) return stay(state)
  return error ? close(state, error) : open(state)
}

function aloneProblem(
  { nowMs, rules: { fenceWhenAloneMs: afterMs } }: RoleFacts,
  { lastHeardMs }: LedFacts,
  aloneSinceMs: number,
): WalcastError | undefined {
  if (afterMs === undefined || nowMs - Math.max(aloneSinceMs, lastHeardMs) <= afterMs)
    return undefined
  return new WalcastError('LEADER_ALONE', { seconds: Math.round(afterMs / 1000) })
}

export function whenFencingAlone(facts: RoleFacts, state: FencingAlone, event: RoleEvent): Step {
  const { memory, change, isFirst } = state
  if (event.type === 'fenced') return settle(facts, memory, [])
  if (event.type !== 'failed') return stay(state)
  if (keyOf(event.error) !== 'FENCE_FAILED') return giveUp(facts, memory, change, event.error)
  const text = 'a transaction of the application is waited for; nobody else gets in'
  return settle(facts, memory, isFirst ? [{ do: 'log', level: 'warn', about: {}, text }] : [])
}

export function whenOpeningAgain(facts: RoleFacts, state: OpeningAgain, event: RoleEvent): Step {
  const { memory, change } = state
  if (event.type === 'failed') return giveUp(facts, memory, change, event.error)
  if (event.type !== 'writersAdmitted') return stay(state)
  return settle(facts, { ...memory, isClosed: false }, [{ do: 'refuseWrites', error: undefined }])
}

function close({ memory }: Leading, error: WalcastError): Step {
  const isFirst = !memory.isClosed
  const text = 'this node cannot be sure that it leads: nobody may write'
  const log: RoleOrder = { do: 'log', level: 'error', about: { error: error.line }, text }
  const change = { what: 'fencing', request: undefined }
  return {
    state: { phase: 'fencingAlone', memory: { ...memory, isClosed: true }, change, isFirst },
    orders: [
      ...(isFirst ? [log] : []),
      { do: 'refuseWrites', error },
      // It is called again as long as a transaction under way keeps it.
      { do: 'takeFence', timeoutMs: FENCE_TRY_MS },
    ],
  }
}

function open({ memory }: Leading): Step {
  const text = 'this node is sure again that it leads: writes are let in'
  return {
    state: { phase: 'openingAgain', memory, change: { what: 'opening again', request: undefined } },
    orders: [{ do: 'log', level: 'warn', about: {}, text }, { do: 'admitWriters' }],
  }
}
