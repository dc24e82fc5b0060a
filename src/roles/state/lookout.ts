/** When the others are asked who leads, and whom. */
import { afterStandstill, HOLD_FROZEN, redirect } from './changeEnd.ts'
import type { CopyFacts, RoleFacts } from './roleFacts.ts'
import type { RoleMemory } from './roleMemory.ts'
import type { RoleOrder } from './roleOrders.ts'
import { isChanging, isSettled, type RoleState, type Step, stay } from './rolePhases.ts'

/** A leaf of a tree waits for the replica that fed it before it looks for the leader itself. */
const RELAY_PATIENCE_MS = 10_000
/**
 * Cookies are not signed: an epoch that never was must not have the others asked for every request.
 */
const ASK_AGAIN_MS = 5000
const ASK_MORE_MS = 250

/** It is time to look, unless that is under way. */
export function look(facts: RoleFacts, state: RoleState): Step {
  if (state.memory.isLooking || !isSettled(state)) return stay(state)
  const whom = whomToAsk(facts, state.memory)
  if (whom.length === 0) return stay(state)
  return { state: remember(state, { isLooking: true }), orders: [{ do: 'look', whom }] }
}

/**
 * A client, or a node, has seen a later epoch than this node's. Asked once an epoch, for a while.
 */
export function lookAtOnce(facts: RoleFacts, state: RoleState, epoch: number): Step {
  const { nowMs, everybody } = facts
  const { askedEpoch, askedEpochMs } = state.memory
  const restMs = epoch <= askedEpoch ? ASK_AGAIN_MS : ASK_MORE_MS
  if (nowMs - askedEpochMs < restMs) return stay(state)
  return {
    state: remember(state, { askedEpoch: epoch, askedEpochMs: nowMs }),
    orders: [{ do: 'lookAtOnce', whom: everybody }],
  }
}

/**
 * Another node leads by now. Also when something else is under way: the one that said so is no
 * leader any more.
 */
export function onMoved(facts: RoleFacts, state: RoleState, address: string, epoch: number): Step {
  if (epoch < facts.record.epoch || state.memory.isEnded) return stay(state)
  if (isSettled(state)) return redirect(facts, state.memory, address, epoch)
  return stay(remember(state, { moved: { address, epoch } }))
}

/** Much may have happened meanwhile: no write is let in before the others were asked. */
export function onStandstill(facts: RoleFacts, state: RoleState, forMs: number): Step {
  const { phase, memory } = state
  if (phase === 'stopped' || phase === 'failed') return stay(state)
  const isBusy = isChanging(state) || phase === 'starting' || memory.isEnded
  // A replica may come to lead by the change that is under way.
  if (phase === 'following' && !isBusy) return stay(state)
  const seconds = Math.round(forMs / 1000)
  const told: RoleOrder = {
    do: 'log',
    level: 'warn',
    about: { seconds },
    text: 'this node stood still: asking who leads',
  }
  if (isBusy)
    return { state: remember(state, { hasStoodStill: true }), orders: [told, HOLD_FROZEN] }
  return afterStandstill(facts, memory, [told])
}

/**
 * A leader hears from those that are connected; a replica needs nobody else while it has a leader.
 */
function whomToAsk(facts: RoleFacts, memory: RoleMemory): readonly string[] {
  const { members, replicas, everybody, copy } = facts
  if (memory.role === 'replica')
    return copy && isLeaderless(copy, facts.nowMs - memory.lostMs) ? everybody : []
  const connected = new Set(
    replicas.filter((each) => each.connected && each.via === undefined).map(({ node }) => node),
  )
  const heard = members.flatMap(({ node, address }) => (connected.has(node) ? address : []))
  return everybody.filter((address) => !heard.includes(address))
}

function isLeaderless({ connected, follows, leaderNode }: CopyFacts, lostForMs: number): boolean {
  const wasRelayed = follows !== leaderNode
  return !connected && !(wasRelayed && lostForMs < RELAY_PATIENCE_MS)
}

function remember(state: RoleState, change: Partial<RoleMemory>): RoleState {
  return { ...state, memory: { ...state.memory, ...change } }
}
