/** The first role of a process: that of the role file, unless another node leads by now. */
import { keyOf, messageOf } from '../../errors.ts'
import { settle } from './changeEnd.ts'
import { judgeStart } from './rivals.ts'
import type { RoleEvent } from './roleEvents.ts'
import type { RoleFacts } from './roleFacts.ts'
import { ROLE_MEMORY, type RoleMemory } from './roleMemory.ts'
import type { RoleOrder } from './roleOrders.ts'
import { type RoleState, type Starting, type Step, stay } from './rolePhases.ts'

/** Of a node whose role file says `was`. */
export function beforeStart(was: Starting['was']): RoleState {
  return { phase: 'starting', memory: ROLE_MEMORY, stage: 'idle', was, rival: '' }
}

export function whenStarting(facts: RoleFacts, state: Starting, event: RoleEvent): Step {
  if (event.type === 'failed') return onFailed(facts, state, event.error)
  switch (state.stage) {
    case 'idle':
      if (event.type !== 'start') break
      if (state.was !== 'leader') return follow(facts, state)
      return { state: { ...state, stage: 'opening' }, orders: [{ do: 'openLeader' }] }
    case 'opening':
      if (event.type === 'mayLeadAsked')
        return {
          state: { ...state, stage: 'asking' },
          orders: [{ do: 'ask', whom: facts.everybody }],
        }
      if (event.type === 'leaderOpened')
        return begin(facts, state, { ...state.memory, role: 'leader' }, [{ do: 'serveAsLeader' }])
      break
    case 'asking': {
      if (event.type !== 'answered') break
      const verdict = judgeStart(facts, event.answers)
      if ('own' in verdict)
        return {
          state: { ...state, stage: 'opening' },
          orders: [{ do: 'permitLeading', seen: verdict.own }],
        }
      return {
        state: { ...state, stage: 'opening', rival: verdict.rival },
        orders: [{ do: 'forbidLeading', error: verdict.error }],
      }
    }
    case 'recording':
      if (event.type !== 'recorded') break
      return follow(facts, state)
    case 'following':
      if (event.type !== 'followed') break
      return begin(facts, state, { ...state.memory, role: 'replica' }, [])
  }
  return stay(state)
}

/** Another node leads, or has led since: this one follows it. */
function onFailed(facts: RoleFacts, state: Starting, error: unknown): Step {
  const { stage, rival, memory } = state
  if (stage === 'opening' && keyOf(error) === 'HIGHER_EPOCH') {
    const text = 'this node leads no more: what only it holds is kept aside'
    return {
      state: { ...state, stage: 'recording' },
      orders: [
        { do: 'log', level: 'error', about: { error: messageOf(error) }, text },
        { do: 'forgetReplicas' },
        // Whatever the disk says: the other one leads.
        { do: 'recordFollowing', leader: rival, how: 'insist' },
      ],
    }
  }
  if (stage === 'recording') {
    const text = 'the role file still says that this node leads'
    return follow(facts, state, [
      { do: 'log', level: 'error', about: { error: messageOf(error) }, text },
    ])
  }
  return { state: { phase: 'failed', memory }, orders: [{ do: 'startFailed', error }] }
}

function follow(
  { record, rules }: RoleFacts,
  state: Starting,
  orders: readonly RoleOrder[] = [],
): Step {
  const leader = record.leader || undefined
  const isOther = state.was === 'leader' || leader !== rules.givenLeader
  const text = 'no leader is known: serving reads until a node is promoted'
  return {
    state: { ...state, stage: 'following' },
    orders: [
      ...orders,
      ...(isOther ? [{ do: 'serveAsReplica', leader } as const] : []),
      ...(leader ? [] : [{ do: 'log', level: 'warn', about: {}, text } as const]),
      { do: 'openReplica', leader },
    ],
  }
}

function begin(
  facts: RoleFacts,
  { was }: Starting,
  memory: RoleMemory,
  orders: readonly RoleOrder[],
): Step {
  return settle(facts, memory, [...orders, { do: 'started', was }])
}
