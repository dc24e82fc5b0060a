/**
 * How changes of role end: in a role of the node's, with an answer or a line in the log, and with
 * what had to wait for that.
 */
import { messageOf, WalcastError } from '../../errors.ts'
import { leaseProblem } from './leaseProblem.ts'
import type { RoleFacts } from './roleFacts.ts'
import type { RoleMemory } from './roleMemory.ts'
import type { RoleOrder } from './roleOrders.ts'
import type { CarryingOn, Change, Step } from './rolePhases.ts'

const MOVED: Change = { what: 'following', request: undefined }
const STOOD_STILL: Change = { what: 'asking who leads', request: undefined }

/** No change is under way any more. What came meanwhile is done now. */
export function settle(facts: RoleFacts, memory: RoleMemory, given: readonly RoleOrder[]): Step {
  // Who follows keeps nobody from leading.
  const isIdle = memory.role !== 'leader' && facts.lease?.isHeld
  const orders: readonly RoleOrder[] = isIdle ? [...given, { do: 'releaseLease' }] : given
  if (memory.isToStop)
    return { state: { phase: 'stopped', memory }, orders: [...orders, { do: 'stopEngine' }] }
  if (memory.hasStoodStill)
    return afterStandstill(facts, { ...memory, hasStoodStill: false }, orders)
  if (memory.moved) {
    const { address, epoch } = memory.moved
    const next = redirect(facts, { ...memory, moved: undefined }, address, epoch)
    return { ...next, orders: [...orders, ...next.orders] }
  }
  return rest(memory, orders)
}

/** The change has come to nothing, and the node has the role that it had. */
export function giveUp(
  facts: RoleFacts,
  memory: RoleMemory,
  change: Change,
  error: unknown,
  orders: readonly RoleOrder[] = [],
): Step {
  return settle(facts, memory, [...orders, ...tellFailure(memory, change, error)])
}

/**
 * The node is between two roles: only a new start helps. `told`: what the request hears; else
 * INTERNAL.
 */
export function breakDown(
  memory: RoleMemory,
  change: Change,
  error: unknown,
  told: unknown = internal(error),
): Step {
  const failure: RoleOrder = {
    do: 'fail',
    error: error instanceof WalcastError ? error : internal(error),
  }
  const state = { phase: memory.isToStop ? 'stopped' : 'failed', memory } as const
  const stop: RoleOrder[] = memory.isToStop ? [{ do: 'stopEngine' }] : []
  return { state, orders: [failure, ...tellFailure(memory, change, told), ...stop] }
}

/** What the failure of a step tells that leaves the node between two roles. */
export function internal(error: unknown): WalcastError {
  return new WalcastError('INTERNAL', { detail: messageOf(error) }, error)
}

/**
 * After the fence was taken for a change that came to nothing: leads on as before, which may be
 * fenced because it is alone.
 */
export function carryOn(
  facts: RoleFacts,
  { memory, change, error, release }: Omit<CarryingOn, 'phase'>,
  orders: readonly RoleOrder[] = [],
): Step {
  if (memory.isClosed) return carriedOn(facts, { memory, change, error, release }, orders)
  const problem = leaseProblem(facts)
  if (problem) {
    const closed = { memory: { ...memory, isClosed: true }, change, error, release }
    return carriedOn(facts, closed, [...orders, { do: 'refuseWrites', error: problem }])
  }
  return {
    state: { phase: 'carryingOn', memory, change, error, release },
    orders: [...orders, { do: 'admitWriters' }],
  }
}

/** Writers are in again, or must not be. */
export function carriedOn(
  facts: RoleFacts,
  { memory, change, error, release }: Omit<CarryingOn, 'phase'>,
  orders: readonly RoleOrder[] = [],
): Step {
  const released: RoleOrder[] = [...orders, { do: 'releaseWrites', for: 'change' }]
  if (error !== undefined) return giveUp(facts, memory, change, error, released)
  return settle(facts, memory, [...released, ...releaseOf(release)])
}

export function releaseOf(what: CarryingOn['release']): RoleOrder[] {
  return what === undefined ? [] : [{ do: 'releaseWrites', for: what }]
}

/** The replica follows the leader at this address, unless it does already. */
export function redirect(
  facts: RoleFacts,
  memory: RoleMemory,
  leader: string,
  epoch = facts.record.epoch,
  change = MOVED,
): Step {
  const { copy, address, record } = facts
  const isThere = leader === copy?.leaderAddress && copy.connected
  const isVain = memory.role !== 'replica' || leader === address || isThere || epoch < record.epoch
  if (isVain || memory.isEnded) return settle(facts, memory, answered(change))
  return {
    state: { phase: 'redirecting', memory, change },
    orders: [
      { do: 'log', level: 'info', about: { leader }, text: 'following this leader' },
      { do: 'redirect', leader },
    ],
  }
}

export function answered({ request }: Change): RoleOrder[] {
  return request === undefined ? [] : [{ do: 'answer', request, answer: { of: 'demote' } }]
}

export const HOLD_FROZEN: RoleOrder = {
  do: 'holdWrites',
  for: 'frozen',
  reason: 'this node stood still and asks the others whether it still leads',
}

/** One that stood still asks before it takes the next write. */
export function afterStandstill(
  facts: RoleFacts,
  memory: RoleMemory,
  orders: readonly RoleOrder[] = [],
): Step {
  if (memory.role !== 'leader')
    return settle(facts, memory, [...orders, { do: 'releaseWrites', for: 'frozen' }])
  if (memory.isEnded) return rest(memory, orders)
  return {
    state: { phase: 'asking', memory, change: STOOD_STILL, told: undefined },
    // After whatever let writes in: none is taken before this question is answered.
    orders: [...orders, HOLD_FROZEN, { do: 'ask', whom: facts.everybody }],
  }
}

function rest(memory: RoleMemory, orders: readonly RoleOrder[]): Step {
  const phase = memory.role === 'leader' ? 'leading' : 'following'
  return { state: { phase, memory }, orders }
}

function tellFailure(
  { isEnded }: RoleMemory,
  { what, request }: Change,
  error: unknown,
): RoleOrder[] {
  if (request !== undefined) return [{ do: 'refuse', request, error }]
  if (isEnded) return []
  return [{ do: 'log', level: 'error', about: { error: messageOf(error) }, text: `${what} failed` }]
}
