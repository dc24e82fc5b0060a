/**
 * The role file says that this node follows: the engine of its leadership gives the database to
 * that of a replica.
 */
import { answered, breakDown, giveUp, settle } from './changeEnd.ts'
import type { RoleEvent } from './roleEvents.ts'
import type { RoleFacts } from './roleFacts.ts'
import type { RoleMemory } from './roleMemory.ts'
import type { RoleOrder } from './roleOrders.ts'
import { type Change, type HandingOver, type Step, stay, type Yielding } from './rolePhases.ts'

/** `leader`: whom it follows; `next`: where its replicas are sent. */
export function yieldTo(
  memory: RoleMemory,
  change: Change,
  how: Pick<Yielding, 'leader' | 'reason' | 'by' | 'end'>,
  orders: readonly RoleOrder[] = [],
): Step {
  const taken = how.end.of === 'switchover' ? how.end.plan : undefined
  const retire: RoleOrder =
    taken?.taken === undefined
      ? { do: 'retire' }
      : { do: 'retire', next: { epoch: taken.taken.epoch, ...taken.target } }
  return {
    state: { phase: 'yielding', memory, change, stage: 'retiring', ...how },
    orders: [...orders, retire],
  }
}

export function whenYielding(facts: RoleFacts, state: Yielding, event: RoleEvent): Step {
  const { memory, change, stage, leader, reason, by, end } = state
  if (event.type === 'failed') return breakDown(memory, change, event.error)
  if (stage === 'retiring' && event.type === 'retired')
    return { state: { ...state, stage: 'following' }, orders: [{ do: 'follow', leader }] }
  if (stage !== 'following' || event.type !== 'followed') return stay(state)
  const followed: RoleMemory = { ...memory, role: 'replica', isClosed: false }
  const said: RoleOrder[] = [{ do: 'tellChange', reason, by }]
  switch (end.of) {
    case 'demotion':
      return settle(facts, followed, [...said, ...answered(change)])
    case 'error':
      return giveUp(facts, followed, change, end.error, said)
    case 'switchover': {
      const { plan } = end
      const leftMs = Math.max(LOOK_MS, plan.endMs - facts.monotonicMs)
      const next: HandingOver = {
        phase: 'handingOver',
        memory: followed,
        change,
        stage: 'streaming',
        plan,
      }
      return { state: next, orders: [...said, { do: 'awaitStreaming', timeoutMs: leftMs }] }
    }
  }
}

/** The least time that is waited for the new leader's stream. */
const LOOK_MS = 2
