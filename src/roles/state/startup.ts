/** The first role of a process: that of the role file, unless another node leads by now. */
import { asWalcastError, type ErrorCode, keyOf, messageOf } from '../../errors.ts'
import { settle } from './changeEnd.ts'
import { judgeStart } from './rivals.ts'
import type { RoleEvent } from './roleEvents.ts'
import type { RoleFacts } from './roleFacts.ts'
import { ROLE_MEMORY, type RoleMemory } from './roleMemory.ts'
import type { RoleOrder } from './roleOrders.ts'
import { type RoleState, type Starting, type Step, stay } from './rolePhases.ts'

/** Of a node whose role file says `was`. */
export function beforeStart(was: Starting['was']): RoleState {
  return { phase: 'starting', memory: ROLE_MEMORY, stage: 'idle', was, rival: '', seen: [] }
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
      if ('own' in verdict && facts.lease)
        return {
          state: { ...state, stage: 'electing', seen: verdict.own },
          orders: [
            {
              do: 'takeLease',
              atLeast: facts.record.epoch,
              asBefore: true,
              isCertain: event.unheard.length === 0,
            },
          ],
        }
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
    case 'electing':
      if (event.type !== 'leaseTaken') break
      return {
        state: { ...state, stage: 'opening' },
        orders: [{ do: 'permitLeading', seen: state.seen }],
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

/** Of a leader that begins as a replica. */
const NOT_LEADING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'HIGHER_EPOCH',
  'LEASE_HELD',
  'LEASE_LOST',
  'ELECTION_AWAY',
])

/** Another node leads, has led since, or may: this one follows. */
function onFailed(facts: RoleFacts, state: Starting, error: unknown): Step {
  const { stage, rival, memory } = state
  if (stage === 'electing')
    return {
      state: { ...state, stage: 'opening' },
      orders: [{ do: 'forbidLeading', error: asWalcastError(error) }],
    }
  // A database that was never led is no copy: only the lease makes it one of this cluster.
  const isNew = facts.record.incarnation === '' && keyOf(error) !== 'HIGHER_EPOCH'
  if (stage === 'opening' && !isNew && NOT_LEADING.has(keyOf(error) ?? 'INTERNAL')) {
    const text =
      keyOf(error) === 'HIGHER_EPOCH'
        ? 'this node leads no more: what only it holds is kept aside'
        : 'this node led, and begins as a replica: it did not get the lease'
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
