/**
 * `--fence-when-alone`: a leader that hears no replica may have been replaced, so nobody writes
 * until it hears one again. Both ways in are closed: requests are refused before they reach the
 * application, and its own connections find the write lock taken.
 */
import { keyOf, WalcastError } from '../../errors.ts'
import { giveUp, settle } from './changeEnd.ts'
import type { RoleEvent } from './roleEvents.ts'
import type { RoleFacts } from './roleFacts.ts'
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

export function lookWhetherAlone(facts: RoleFacts, state: Leading): Step {
  const { nowMs, led, rules } = facts
  const afterMs = rules.fenceWhenAloneMs
  if (!led || afterMs === undefined) return stay(state)
  // Whoever has just come to lead is given the time; one whose change of role came to nothing is
  // not.
  const { aloneSinceMs, isClosed, isEnded } = state.memory
  if (aloneSinceMs === undefined)
    return lookWhetherAlone(facts, {
      ...state,
      memory: { ...state.memory, aloneSinceMs: nowMs },
    })
  const isAlone = nowMs - Math.max(aloneSinceMs, led.lastHeardMs) > afterMs
  if (isEnded || (isAlone ? led.isFenced : !isClosed)) return stay(state)
  return isAlone ? close(state, afterMs) : open(state)
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

function close({ memory }: Leading, afterMs: number): Step {
  const error = new WalcastError('LEADER_ALONE', { seconds: Math.round(afterMs / 1000) })
  const isFirst = !memory.isClosed
  const text = 'no replica is heard of: nobody may write'
  const log: RoleOrder = { do: 'log', level: 'error', about: { error: error.line }, text }
  const change = { what: 'fencing alone', request: undefined }
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
  const text = 'a replica is heard of again: writes are let in'
  return {
    state: { phase: 'openingAgain', memory, change: { what: 'opening again', request: undefined } },
    orders: [{ do: 'log', level: 'warn', about: {}, text }, { do: 'admitWriters' }],
  }
}
