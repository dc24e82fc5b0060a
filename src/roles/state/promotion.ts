/** How a replica comes to lead. From the role file on it leads, whatever happens to the process. */
import type { Position } from '../../../proto/position.ts'
import type { PeerAnswer } from '../../cluster/peerAnswer.ts'
import { type ErrorCode, keyOf, messageOf, WalcastError } from '../../errors.ts'
import { breakDown, giveUp, internal, settle } from './changeEnd.ts'
import { leaseProblem } from './leaseProblem.ts'
import { tellOthers } from './promotionTold.ts'
import type { RoleEvent } from './roleEvents.ts'
import type { CopyFacts, RoleFacts, RoleRecord } from './roleFacts.ts'
import type { RoleMemory } from './roleMemory.ts'
import type { LastPlaces, RecordBefore, RoleOrder } from './roleOrders.ts'
import { type Change, type Promoting, type PromotionPlan, type Step, stay } from './rolePhases.ts'
import { ledAnew } from './stepDown.ts'

/** What a full or broken disk says itself. */
const OF_THE_DISK: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ROLE_UNSURE',
  'DISK_FULL',
  'WRITE_FAILED',
])
export const TOO_LATE = 'it was asked so long ago that another node may lead by now'

export function whenPromoting(facts: RoleFacts, state: Promoting, event: RoleEvent): Step {
  if (event.type === 'failed') return onFailed(facts, state, event.error)
  const { memory, stage } = state
  switch (stage) {
    case 'electing':
      if (event.type !== 'leaseTaken') break
      return lock(facts, { ...state, plan: { ...state.plan, epoch: event.epoch } })
    case 'locking':
      if (event.type !== 'copyLocked') break
      // The role file says nothing of it yet: whoever asked may count on it that this node does not
      // lead.
      return { state: { ...state, stage: 'retiring' }, orders: [{ do: 'retire' }] }
    case 'retiring':
      if (event.type !== 'retired') break
      return onRetired(facts, state, event)
    case 'recording':
      if (event.type !== 'recorded') break
      return { state: { ...state, stage: 'beginning' }, orders: [{ do: 'beginCapture' }] }
    case 'beginning':
      if (event.type !== 'captureBegun') break
      return admit(facts, { ...state, stage: 'admitting', memory: ledAnew(memory) })
    case 'admitting':
      if (event.type !== 'writersAdmitted') break
      return onLeading(facts, state)
    case 'telling':
      if (event.type !== 'told') break
      return tellOthers(facts, state, undefined)
    case 'restoring':
      if (event.type !== 'recorded') break
      return returnToLeader({ ...state, error: takeOverError(state.error) })
    case 'returning':
      if (event.type !== 'followed') break
      return giveUp(facts, { ...memory, role: 'replica' }, state.change, state.error)
  }
  return stay(state)
}

/** The copy is to lead. */
export function lead(
  facts: RoleFacts,
  memory: RoleMemory,
  change: Change,
  copy: CopyFacts,
  how: Pick<PromotionPlan, 'epoch' | 'reason' | 'by' | 'expected' | 'asked'> & {
    readonly answers: readonly PeerAnswer[]
  },
): Step {
  const { answers, ...rest } = how
  const plan: PromotionPlan = {
    ...rest,
    leader: copy.leaderAddress,
    places: lastPlaces(copy, answers, facts.nowMs),
    wasTrusted: copy.isTrusted,
    before: recordBefore(facts.record),
  }
  const state = { phase: 'promoting', memory, change, plan } as const
  if (!facts.lease || facts.lease.isHeld) return lock(facts, { ...state, stage: 'locking' })
  return {
    state: { ...state, stage: 'electing' },
    orders: [{ do: 'takeLease', atLeast: plan.epoch, asBefore: false, isCertain: false }],
  }
}

function lock(facts: RoleFacts, state: Promoting): Step {
  return {
    state: { ...state, stage: 'locking' },
    orders: [{ do: 'lockCopy', timeoutMs: lockMs(facts, state.plan.expected) }],
  }
}

/** Nobody is let in by a lease that has run out meanwhile. */
function admit(facts: RoleFacts, state: Promoting): Step {
  const error = leaseProblem(facts)
  if (!error) return { state, orders: [{ do: 'admitWriters' }] }
  const memory = { ...state.memory, isClosed: true }
  const next = onLeading(facts, { ...state, memory })
  return { ...next, orders: [{ do: 'refuseWrites', error }, ...next.orders] }
}

/**
 * How long a writer that has the copy's lock is waited for. Whoever asked is to hear of it while
 * that still counts as a refusal.
 */
function lockMs({ nowMs, rules }: RoleFacts, expected: PromotionPlan['expected']): number {
  return expected ? Math.max(0, expected.until - nowMs) / 2 : rules.switchoverTimeoutMs
}

function onRetired(
  facts: RoleFacts,
  state: Promoting,
  { held, isTrusted }: Extract<RoleEvent, { readonly type: 'retired' }>,
): Step {
  const { expected, wasTrusted, epoch } = state.plan
  const refusal = held
    ? (refusalOf(held, expected, wasTrusted && !isTrusted, facts.nowMs) ??
      overtakenBy(facts.record, epoch))
    : 'it has no whole copy of the database'
  if (!held || refusal !== undefined)
    return returnToLeader({
      ...state,
      error: new WalcastError('TAKE_OVER_FAILED', { detail: refusal ?? '' }),
    })
  return {
    // What the node followed until now may have changed while the lock was waited for.
    state: {
      ...state,
      stage: 'recording',
      plan: { ...state.plan, before: recordBefore(facts.record) },
    },
    orders: [{ do: 'recordLeading', at: held, begins: { epoch, term: epoch, exact: wasTrusted } }],
  }
}

/** What was followed until the copy was given up may have been led in a later epoch by then. */
function overtakenBy({ epoch: known }: RoleRecord, epoch: number): string | undefined {
  if (known < epoch) return undefined
  return `another node has begun epoch ${known} meanwhile, which is not before epoch ${epoch}`
}

function refusalOf(
  { epoch, txid }: Position,
  expected: PromotionPlan['expected'],
  wasWritten: boolean,
  nowMs: number,
): string | undefined {
  if (wasWritten) return 'something else wrote to its copy'
  if (!expected) return undefined
  if (nowMs > expected.until) return TOO_LATE
  if (expected.epoch === epoch && expected.txid === txid) return undefined
  return `its copy moved on to ${epoch}-${txid}`
}

function onFailed(facts: RoleFacts, state: Promoting, error: unknown): Step {
  const { memory, change, stage } = state
  switch (stage) {
    case 'electing':
    case 'locking':
      return giveUp(facts, memory, change, error)
    case 'retiring':
      return breakDown(
        memory,
        change,
        error,
        new WalcastError('TAKE_OVER_FAILED', { detail: messageOf(error) }, internal(error)),
      )
    case 'recording':
    case 'beginning':
      return takeBack(facts, state, error)
    case 'restoring':
      return returnToLeader({ ...state, error: unsure(facts, error) })
    case 'telling':
      return tellOthers(facts, state, error)
    case 'admitting':
    case 'returning':
      return breakDown(memory, change, error)
  }
}

/**
 * Under the write lock nobody can have written here: that it leads can be taken back. With
 * ROLE_UNSURE it is not certain that its next start finds a replica, and whoever asked must not
 * take that for a refusal.
 */
function takeBack({ record }: RoleFacts, state: Promoting, error: unknown): Step {
  if (record.role !== 'leader') return returnToLeader({ ...state, error: takeOverError(error) })
  return {
    state: { ...state, stage: 'restoring', error },
    orders: [{ do: 'restoreRecord', before: state.plan.before }],
  }
}

function takeOverError(error: unknown): unknown {
  if (OF_THE_DISK.has(keyOf(error) ?? 'INTERNAL')) return error
  return new WalcastError('TAKE_OVER_FAILED', { detail: messageOf(error) }, error)
}

function unsure({ recordPath: path }: RoleFacts, error: unknown): WalcastError {
  return new WalcastError('ROLE_UNSURE', { path, detail: messageOf(error) }, error)
}

function returnToLeader(state: Promoting): Step {
  return {
    state: { ...state, stage: 'returning' },
    orders: [{ do: 'follow', leader: state.plan.leader }],
  }
}

function onLeading(facts: RoleFacts, state: Promoting): Step {
  const { memory, change, plan } = state
  const { reason, by, places, asked, leader, epoch } = plan
  const orders: RoleOrder[] = [
    { do: 'serveAsLeader' },
    { do: 'expectReplicas', places },
    { do: 'tellChange', reason, by },
  ]
  if (!asked) {
    if (change.request === undefined) return settle(facts, memory, orders)
    const { txid } = plan.expected ?? { txid: 0 }
    return settle(facts, memory, [
      ...orders,
      { do: 'answer', request: change.request, answer: { of: 'takeOver', epoch, txid } },
    ])
  }
  if (leader === undefined) {
    const next = tellOthers(facts, state, undefined)
    return { ...next, orders: [...orders, ...next.orders] }
  }
  return {
    state: { ...state, stage: 'telling' },
    orders: [...orders, { do: 'tellToFollow', address: leader }],
  }
}

/**
 * Where the others stood when they were last heard of: the old leader as it told with its
 * heartbeats.
 */
function lastPlaces(
  { leaderTxid, leaderNode, position, staleMs }: CopyFacts,
  answers: readonly PeerAnswer[],
  nowMs: number,
): LastPlaces {
  const places = new Map<string, { position: Position; seenMs?: number | undefined }>()
  if (leaderTxid > 0)
    places.set(leaderNode, {
      position: { epoch: position.epoch, txid: leaderTxid },
      seenMs: Number.isFinite(staleMs) ? nowMs - staleMs : undefined,
    })
  for (const { node, positionEpoch: epoch, txid } of answers)
    if (txid > 0) places.set(node, { position: { epoch, txid } })
  return places
}

function recordBefore({
  role,
  epoch,
  term,
  leader,
  incarnation,
  lineage,
  promoted,
}: RoleRecord): RecordBefore {
  return { role, epoch, term, leader, incarnation, lineage, ...(promoted ? { promoted } : {}) }
}
