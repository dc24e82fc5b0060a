/**
 * What follows when a step of a switchover fails. Before the role file says that this node follows,
 * it leads on; after that, only where it is certain that the other node does not lead.
 */
import { wasNotSent } from '../../cluster/peerFailures.ts'
import { type ErrorCode, keyOf, messageOf, WalcastError } from '../../errors.ts'
import { carryOn, giveUp } from './changeEnd.ts'
import type { RoleFacts } from './roleFacts.ts'
import type { HandingOver, Step, SwitchoverPlan } from './rolePhases.ts'
import { yieldTo } from './yielding.ts'

/** What speaks of a node's own state, and is certain: it has not come to lead. */
const NOT_TAKEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_FIT',
  'FENCE_FAILED',
  'DISK_FULL',
  'WRITE_FAILED',
  'TAKE_OVER_FAILED',
  'ROLE_CHANGING',
  'STARTING',
  'STOPPING',
])

/** The step under way has failed. */
export function failSwitchover(facts: RoleFacts, state: HandingOver, error: unknown): Step {
  const { memory, change, stage, plan } = state
  switch (stage) {
    case 'levelling':
    case 'readingClock':
    case 'endingCheckpoints':
    case 'streaming':
      return giveUp(facts, memory, change, error)
    case 'quieting':
    case 'fencing':
    case 'draining':
    case 'confirming':
    case 'recording':
      return carryOn(facts, { memory, change, error: failureOf(plan, error), release: undefined })
    case 'handing':
      return leadOn(state, error)
    case 'giving':
      return onNotTaken(facts, state, error)
    case 'recordingOn':
      return leaderless(state, error)
  }
}

/**
 * Whether it is certain that the other node has not come to lead: it says so, or was not reached.
 */
function onNotTaken({ lease }: RoleFacts, state: HandingOver, error: unknown): Step {
  const { memory, change, plan } = state
  const { target, by } = plan
  const key = keyOf(error) ?? 'INTERNAL'
  // It may be on its way to lead already, by the lease that was handed to it.
  const mayTake = lease !== undefined && key === 'ROLE_CHANGING'
  if ((NOT_TAKEN.has(key) && !mayTake) || wasNotSent(error)) return leadOn(state, error)
  const detail = messageOf(error)
  const unknown = new WalcastError('SWITCHOVER_UNKNOWN', { to: target.node, detail }, error)
  const reason = `switchover to ${target.node}, of which it is not known whether it leads`
  const how = { leader: target.address, reason, by, end: { of: 'error', error: unknown } } as const
  return yieldTo(memory, change, how, [
    {
      do: 'log',
      level: 'error',
      about: { to: target, error: detail },
      text: 'whether the other node leads is not known: following it',
    },
  ])
}

/** It has not come to lead. */
function leadOn(state: HandingOver, error: unknown): Step {
  return {
    state: { ...state, stage: 'recordingOn', refusal: error },
    orders: [{ do: 'recordLeadingOn' }],
  }
}

/** The role file goes on saying that this node follows: so it does. */
function leaderless({ memory, change, plan, refusal }: HandingOver, failure: unknown): Step {
  const { target, by } = plan
  const about = { to: target.node, refusal: messageOf(refusal), detail: messageOf(failure) }
  const error = new WalcastError('LEADERLESS', about, failure)
  const reason = [
    `nobody leads: ${target.node} did not take over, and`,
    'that this node leads on could not be written down',
  ].join(' ')
  return yieldTo(memory, change, {
    leader: target.address,
    reason,
    by,
    end: { of: 'error', error },
  })
}

/** What is told of a switchover that was given up because of `error`. */
export function failureOf({ target }: SwitchoverPlan, error: unknown): unknown {
  if (keyOf(error) === 'NO_TARGET') return error
  return new WalcastError('SWITCHOVER_FAILED', { to: target.node, detail: messageOf(error) }, error)
}
