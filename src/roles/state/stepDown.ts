/**
 * How a leader ceases to lead, or leads on in a higher epoch, because of what another node has
 * done: nobody is asked.
 */
import { keyOf, messageOf } from '../../errors.ts'
import { aboveLost, isPutBack, lackingText, type SeenHistory } from '../../feed/seenHistory.ts'
import type { HoldFor } from '../../proxy/writeGate.ts'
import { breakDown, carryOn, giveUp, releaseOf, settle } from './changeEnd.ts'
import { leaseProblem } from './leaseProblem.ts'
import type { RoleEvent } from './roleEvents.ts'
import type { RoleFacts } from './roleFacts.ts'
import type { RoleMemory } from './roleMemory.ts'
import type { LeadershipBegins, RoleOrder } from './roleOrders.ts'
import {
  type Change,
  type RaiseAbove,
  type Raising,
  type Step,
  type SteppingDown,
  stay,
} from './rolePhases.ts'
import { yieldTo } from './yielding.ts'

/** One attempt to take the fence from a transaction that does not end. */
const FENCE_TRY_MS = 1000
/** After the disk did not take it: each attempt holds writes up. */
const RAISE_AGAIN_MS = 5000
/** Who changed the role when nobody asked for it. */
const NODE_ITSELF = 'the node itself'

const TAKE_FENCE: RoleOrder = { do: 'takeFence', timeoutMs: FENCE_TRY_MS }

/**
 * Another node leads: nobody writes here from now on, as soon as a transaction that is under way
 * has ended.
 */
export function stepDown(
  memory: RoleMemory,
  change: Change,
  reason: string,
  leader: string | undefined,
  orders: readonly RoleOrder[] = [],
): Step {
  const text = 'this node leads no more: another one does, in a higher epoch'
  return {
    state: { phase: 'steppingDown', memory, change, stage: 'fencing', reason, leader },
    orders: [
      ...orders,
      { do: 'log', level: 'error', about: { reason, leader }, text },
      { do: 'holdWrites', for: 'change', reason: 'another node leads' },
      TAKE_FENCE,
    ],
  }
}

export function whenSteppingDown(facts: RoleFacts, state: SteppingDown, event: RoleEvent): Step {
  const { memory, change, stage, reason, leader } = state
  if (event.type === 'failed') {
    if (stage === 'fencing') return fenceAgain(facts, state, event.error)
    if (stage === 'draining') return breakDown(memory, change, event.error)
    const text = 'the role file still says that this node leads'
    return yieldTo(memory, change, { leader, reason, by: NODE_ITSELF, end: { of: 'demotion' } }, [
      { do: 'log', level: 'error', about: { error: messageOf(event.error) }, text },
    ])
  }
  if (stage === 'fencing' && event.type === 'fenced')
    return { state: { ...state, stage: 'draining' }, orders: [{ do: 'drain' }] }
  // Whatever the disk says: the other one leads. A full one is why somebody was promoted, perhaps.
  if (stage === 'draining' && event.type === 'drained')
    return {
      state: { ...state, stage: 'recording' },
      orders: [{ do: 'recordFollowing', leader: leader ?? '', how: 'insist' }],
    }
  if (stage === 'recording' && event.type === 'recorded')
    return yieldTo(memory, change, { leader, reason, by: NODE_ITSELF, end: { of: 'demotion' } })
  return stay(state)
}

/** Leads on in a higher epoch, which begins with the very state that is there. */
export function raise(
  memory: RoleMemory,
  change: Change,
  reason: string,
  above: RaiseAbove,
  release: HoldFor | undefined,
): Step {
  return {
    state: { phase: 'raising', memory, change, stage: 'fencing', reason, above, release },
    orders: [
      { do: 'log', level: 'warn', about: { reason }, text: 'the epoch is raised' },
      { do: 'holdWrites', for: 'change', reason: 'the epoch is being raised' },
      TAKE_FENCE,
    ],
  }
}

/**
 * The same above what other nodes have seen of this node's own history, which this leader lacks:
 * its state was put back. What was numbered since the histories parted may mean two things, and
 * counts as unknown from then on. Nothing happens when it lacks nothing.
 */
export function raiseAboveLost(
  facts: RoleFacts,
  memory: RoleMemory,
  change: Change,
  seen: readonly SeenHistory[],
  release: HoldFor | undefined,
): Step {
  const { led, record, nowMs } = facts
  const lost = led ? seen.filter((each) => isPutBack(led.position, record.lineage, each)) : []
  if (lost.length === 0 || nowMs < memory.raiseAgainMs)
    return settle(facts, memory, releaseOf(release))
  return raise(memory, change, lackingText(lost[0]), { of: 'history', lost }, release)
}

export function whenRaising(facts: RoleFacts, state: Raising, event: RoleEvent): Step {
  const { memory, stage, begins } = state
  if (event.type === 'failed') return onRaiseFailed(facts, state, event.error)
  switch (stage) {
    case 'fencing':
      if (event.type !== 'fenced') break
      return { state: { ...state, stage: 'draining' }, orders: [{ do: 'drain' }] }
    case 'draining':
      if (event.type !== 'drained') break
      return recordRaised(facts, state)
    case 'recording':
      if (event.type !== 'recorded') break
      return { state: { ...state, stage: 'retiring' }, orders: [{ do: 'retire' }] }
    case 'retiring':
      if (event.type !== 'retired') break
      return {
        state: { ...state, stage: 'beginning' },
        orders: [{ do: 'beginCapture', raisedAt: begins?.putBack?.txid ?? event.held?.txid }],
      }
    case 'beginning':
      if (event.type !== 'captureBegun') break
      return admit(facts, state)
    case 'admitting':
      if (event.type !== 'writersAdmitted') break
      return raised(facts, state, memory)
  }
  return stay(state)
}

/** Nobody is let in by a lease that has run out meanwhile. */
function admit(facts: RoleFacts, state: Raising): Step {
  const { isClosed } = state.memory
  const memory = ledAnew(state.memory)
  const error = leaseProblem(facts)
  if (error) {
    const next = raised(facts, state, { ...memory, isClosed: true })
    return { ...next, orders: [{ do: 'refuseWrites', error }, ...next.orders] }
  }
  return {
    state: { ...state, stage: 'admitting', memory },
    // It may have been closed. Requests wait all the same until writers are in.
    orders: [
      ...(isClosed ? [{ do: 'refuseWrites', error: undefined } as const] : []),
      { do: 'admitWriters' },
    ],
  }
}

function raised(facts: RoleFacts, { reason, release }: Raising, memory: RoleMemory): Step {
  return settle(facts, memory, [
    { do: 'serveAsLeader' },
    { do: 'expectReplicas', places: new Map() },
    { do: 'tellChange', reason, by: NODE_ITSELF },
    ...releaseOf(release),
  ])
}

/** The engine of a leader that has just begun: it is given the time before it counts as alone. */
export function ledAnew(memory: RoleMemory): RoleMemory {
  return { ...memory, role: 'leader', aloneSinceMs: undefined, isClosed: false }
}

function recordRaised({ record, led }: RoleFacts, state: Raising): Step {
  if (!led) return stay(state)
  const begins = beginningOf(state, record, led.position)
  return {
    state: { ...state, stage: 'recording', begins },
    orders: [{ do: 'recordLeading', at: led.position, begins }],
  }
}

function beginningOf(
  { above, reason }: Raising,
  { epoch, term, lineage }: RoleFacts['record'],
  position: NonNullable<RoleFacts['led']>['position'],
): LeadershipBegins {
  if (above.of === 'epochs') return { epoch: above.epoch, term, exact: true }
  const lost = aboveLost(position, lineage, above.lost)
  return {
    epoch: Math.max(epoch + 1, lost.epoch),
    term: Math.max(term, lost.term),
    exact: lost.isProven,
    putBack: { follows: lost.follows, txid: lost.txid, reason },
  }
}

function onRaiseFailed(facts: RoleFacts, state: Raising, error: unknown): Step {
  const { memory, change, stage, release } = state
  if (stage === 'fencing') return fenceAgain(facts, state, error)
  if (stage !== 'recording') return breakDown(memory, change, error)
  // The replicas stay connected; it is tried again when the others are looked at the next time.
  const waiting = { ...memory, raiseAgainMs: facts.nowMs + RAISE_AGAIN_MS }
  const text = 'the epoch could not be raised: this node leads on in the one before'
  return carryOn(facts, { memory: waiting, change, error: undefined, release }, [
    { do: 'log', level: 'error', about: { error: messageOf(error) }, text },
  ])
}

function fenceAgain(facts: RoleFacts, state: SteppingDown | Raising, error: unknown): Step {
  const { memory, change } = state
  if (keyOf(error) !== 'FENCE_FAILED' || memory.isEnded) return giveUp(facts, memory, change, error)
  const text =
    'a transaction of the application keeps this node from following; waiting for its end'
  return { state, orders: [{ do: 'log', level: 'warn', about: {}, text }, TAKE_FENCE] }
}
