/** Rules of roles with a fault, each of which a run must find. */
import { WalcastError } from '../../../src/errors.ts'
import { step } from '../../../src/roles/roleState.ts'
import type { RoleEvent } from '../../../src/roles/state/roleEvents.ts'
import type { RoleFacts } from '../../../src/roles/state/roleFacts.ts'
import type { RoleOrder } from '../../../src/roles/state/roleOrders.ts'
import type { RoleState, Step } from '../../../src/roles/state/rolePhases.ts'

type Rules = typeof step
type Order<Name extends RoleOrder['do']> = Extract<RoleOrder, { readonly do: Name }>

/** The order is never given, and taken for done: what would follow from `end` follows at once. */
function without(isIt: (order: RoleOrder, state: RoleState) => boolean, end: RoleEvent): Rules {
  return (facts, state, event) => {
    const next = step(facts, state, event)
    if (!next.orders.some((order) => isIt(order, next.state))) return next
    const after = step(facts, next.state, end)
    const before = next.orders.filter((order) => !isIt(order, next.state))
    return { state: after.state, orders: [...before, ...after.orders] }
  }
}

function withEvent(change: (event: RoleEvent, state: RoleState) => RoleEvent | undefined): Rules {
  return (facts, state, event) => {
    const other = change(event, state)
    return other ? step(facts, state, other) : { state, orders: [] }
  }
}

function withOrder<Name extends RoleOrder['do']>(
  name: Name,
  change: (order: Order<Name>, facts: RoleFacts) => RoleOrder,
): Rules {
  const isNamed = (order: RoleOrder): order is Order<Name> => order.do === name
  return (facts, state, event): Step => {
    const next = step(facts, state, event)
    const orders = next.orders.map((order) => (isNamed(order) ? change(order, facts) : order))
    return { state: next.state, orders }
  }
}

export const BROKEN_RULES: ReadonlyMap<string, Rules> = new Map([
  [
    'writers are let in before the role file says that it leads',
    without((order, { phase }) => order.do === 'recordLeading' && phase === 'promoting', {
      type: 'recorded',
    }),
  ],
  ['no fence is taken', without((order) => order.do === 'takeFence', { type: 'fenced' })],
  [
    'nothing is drained',
    without((order) => order.do === 'drain', { type: 'drained', epoch: 1, txid: 1, checksum: '' }),
  ],
  [
    'a higher epoch, and whoever else leads, are ignored',
    withEvent((event) => {
      if (event.type === 'higherEpochHeard') return undefined
      if (event.type !== 'looked' && event.type !== 'lookedAtOnce') return event
      return { ...event, answers: event.answers.filter(({ role }) => role !== 'leader') }
    }),
  ],
  [
    'no answer is taken for a refusal',
    withEvent((event, state) => {
      const isGiving = state.phase === 'handingOver' && state.stage === 'giving'
      if (event.type !== 'failed' || !isGiving) return event
      return { type: 'failed', error: new WalcastError('TAKE_OVER_FAILED', { detail: 'a test' }) }
    }),
  ],
  [
    'after a refusal the role file goes on saying that it follows',
    without((order) => order.do === 'recordLeadingOn', { type: 'recorded' }),
  ],
  [
    'a promotion begins no epoch of its own',
    withOrder('recordLeading', ({ begins, ...order }, { record }) => ({
      ...order,
      begins: { ...begins, epoch: record.epoch },
    })),
  ],
  [
    'writers stay out after a change that came to nothing',
    without((order, { phase }) => order.do === 'admitWriters' && phase === 'carryingOn', {
      type: 'writersAdmitted',
    }),
  ],
])
