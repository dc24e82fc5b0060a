/**
 * How a leader gives leadership to a node of an operator's choice. Until the role file says that
 * this node follows, any failure lets it lead on as before; after that only certainty does that the
 * other one has not come to lead.
 */
import type { NodePlace, SwitchoverAnswer, SwitchoverStage } from '../../api/roleAnswers.ts'
import { WalcastError } from '../../errors.ts'
import { carryOn, giveUp, settle } from './changeEnd.ts'
import type { RoleEvent, RoleRequest } from './roleEvents.ts'
import type { ReplicaPlace, RoleFacts } from './roleFacts.ts'
import type { Drained, RoleOrder } from './roleOrders.ts'
import {
  type Change,
  type HandingOver,
  type Leading,
  type Step,
  type SwitchoverPlan,
  stay,
} from './rolePhases.ts'
import { failSwitchover, failureOf } from './switchoverFailure.ts'
import { yieldTo } from './yielding.ts'

type SwitchoverAsked = Extract<RoleRequest, { readonly type: 'switchoverAsked' }>

const NO_STAGES: SwitchoverAnswer['stages'] = {
  quietMs: 0,
  fenceMs: 0,
  drainMs: 0,
  confirmMs: 0,
  recordMs: 0,
  takeOverMs: 0,
  applicationMs: 0,
  followMs: 0,
}

export function whenSwitchoverAsked(
  facts: RoleFacts,
  { memory }: Leading,
  asked: SwitchoverAsked,
): Step {
  const { request, by, to, timeoutMs } = asked
  const { monotonicMs: beganMs, heldWrites: heldBefore } = facts
  const change: Change = { what: 'a switchover', request }
  const target = targetOf(facts, to)
  if (target instanceof WalcastError) return giveUp(facts, memory, change, target)
  const plan: SwitchoverPlan = {
    target,
    by,
    timeoutMs,
    beganMs,
    endMs: beganMs + timeoutMs,
    pausedMs: beganMs,
    aheadMs: 0,
    heldBefore,
    stageMs: beganMs,
    stages: NO_STAGES,
    drained: undefined,
  }
  return {
    state: { phase: 'handingOver', memory, change, stage: 'levelling', plan },
    orders: [{ do: 'awaitNearlyLevel', node: target.node, timeoutMs: timeoutMs / 2 }],
  }
}

export function whenHandingOver(facts: RoleFacts, state: HandingOver, event: RoleEvent): Step {
  if (event.type === 'failed') return failSwitchover(facts, state, event.error)
  const { stage, plan } = state
  const { target, timeoutMs, endMs } = plan
  const leftMs = Math.max(1, endMs - facts.monotonicMs)
  switch (stage) {
    case 'levelling':
      if (event.type !== 'levelled') break
      if (!event.isLevel)
        return noTarget(facts, state, `${target.node} is not level with this leader`)
      return to(state, 'readingClock', {
        do: 'readClock',
        address: target.address,
        timeoutMs: timeoutMs / 2,
      })
    case 'readingClock':
      if (event.type !== 'clockRead') break
      if (event.aheadMs === undefined)
        return noTarget(facts, state, `${target.node} does not answer at ${target.address}`)
      return to({ ...state, plan: { ...plan, aheadMs: event.aheadMs } }, 'endingCheckpoints', {
        do: 'endCheckpoints',
      })
    case 'endingCheckpoints':
      if (event.type !== 'checkpointsEnded') break
      return pause(facts, state, leftMs)
    case 'quieting':
      if (event.type !== 'quiet') break
      if (!event.isQuiet)
        return failSwitchover(
          facts,
          state,
          new Error('a write inside the application did not end in time'),
        )
      return to(timed(facts, state, 'quiet'), 'fencing', { do: 'takeFence', timeoutMs: leftMs })
    case 'fencing':
      if (event.type !== 'fenced') break
      return to(timed(facts, state, 'fence'), 'draining', { do: 'drain' })
    case 'draining':
      if (event.type !== 'drained') break
      return onDrained(facts, state, event, leftMs)
    case 'confirming':
      if (event.type !== 'confirmed') break
      if (!event.isConfirmed)
        return failSwitchover(facts, state, new Error('it did not confirm the position in time'))
      return to(timed(facts, state, 'confirm'), 'recording', {
        do: 'recordFollowing',
        leader: target.address,
        how: 'update',
      })
    case 'recording':
      if (event.type !== 'recorded') break
      if (!facts.lease) return give(facts, timed(facts, state, 'record'))
      return to(state, 'handing', { do: 'handLease', to: target.node })
    case 'handing':
      if (event.type !== 'leaseHanded') break
      return give(facts, timed(facts, state, 'record'))
    case 'giving':
      if (event.type !== 'taken') break
      return onTaken(facts, timed(facts, state, 'takeOver'), event)
    case 'recordingOn':
      if (event.type !== 'recorded') break
      return carryOn(facts, { ...state, error: failureOf(plan, state.refusal), release: undefined })
    case 'streaming':
      if (event.type !== 'streaming') break
      return answer(facts, timed(facts, state, 'follow'), event.isStreaming)
  }
  return stay(state)
}

/** The replica by id or address; the only one that is connected when none is named. */
function targetOf(
  { replicas, members }: RoleFacts,
  to: string | undefined,
): NodePlace | WalcastError {
  const connected = replicas.filter((each) => each.connected && each.via === undefined)
  const chosen = to === undefined ? connected : connected.filter((each) => isNamed(each, to))
  if (chosen.length !== 1) {
    const names = connected.map(({ node }) => node).join(', ') || 'none'
    const detail =
      to === undefined
        ? `one of the replicas has to be named: ${names}`
        : `no replica "${to}" is connected to this leader; those that are: ${names}`
    return new WalcastError('NO_TARGET', { detail })
  }
  const [{ node, address }] = chosen
  return { node, address: members.find((each) => each.node === node)?.address ?? address }
}

function isNamed({ node, address }: ReplicaPlace, name: string): boolean {
  return node === name || address === name || `http://${address}` === name.replace(/\/$/, '')
}

function noTarget(facts: RoleFacts, { memory, change }: HandingOver, detail: string): Step {
  return giveUp(facts, memory, change, new WalcastError('NO_TARGET', { detail }))
}

function pause(facts: RoleFacts, state: HandingOver, timeoutMs: number): Step {
  const plan = { ...state.plan, pausedMs: facts.monotonicMs, stageMs: facts.monotonicMs }
  return to(
    { ...state, plan },
    'quieting',
    { do: 'holdWrites', for: 'change', reason: 'the leader is handing over' },
    { do: 'awaitQuiet', timeoutMs },
  )
}

function onDrained(
  facts: RoleFacts,
  state: HandingOver,
  { epoch, txid, checksum }: Drained,
  timeoutMs: number,
): Step {
  const drained = { epoch, txid, checksum }
  const { node } = state.plan.target
  return to(timed(facts, { ...state, plan: { ...state.plan, drained } }, 'drain'), 'confirming', {
    do: 'awaitConfirmed',
    node,
    drained,
    timeoutMs,
  })
}

function give(facts: RoleFacts, state: HandingOver): Step {
  const { target, by, aheadMs, drained } = state.plan
  if (!drained) return stay(state)
  const timeoutMs = facts.rules.switchoverTimeoutMs
  // One that is frozen may get to it long after this node has given it up, and somebody else has
  // been promoted.
  const untilMs = Math.floor(facts.nowMs + aheadMs + timeoutMs)
  return to(state, 'giving', { do: 'giveTo', to: target, drained, by, untilMs, aheadMs, timeoutMs })
}

function onTaken(
  facts: RoleFacts,
  { memory, change, plan }: HandingOver,
  { epoch, txid }: { readonly epoch: number; readonly txid: number },
): Step {
  const { target, by, pausedMs, heldBefore } = plan
  const pauseMs = facts.monotonicMs - pausedMs
  const taken = { epoch, txid, pauseMs, heldWrites: facts.heldWrites - heldBefore }
  const end = { of: 'switchover', plan: { ...plan, taken } } as const
  const how = { leader: target.address, reason: `switchover to ${target.node}`, by, end }
  const { request } = change
  const application: RoleOrder[] =
    request === undefined ? [] : [{ do: 'awaitApplication', request, address: target.address }]
  return yieldTo(memory, change, how, application)
}

function answer(
  facts: RoleFacts,
  { memory, change, plan }: HandingOver,
  isStreaming: boolean,
): Step {
  const { target, taken, stages, beganMs } = plan
  const late: RoleOrder = {
    do: 'log',
    level: 'warn',
    about: { to: target },
    text: 'the new leader is not followed yet',
  }
  const orders: RoleOrder[] = isStreaming ? [] : [late]
  const { request } = change
  if (!taken || request === undefined) return settle(facts, memory, orders)
  const from = { node: facts.record.node, address: facts.address }
  const tookMs = facts.monotonicMs - beganMs
  const told: SwitchoverAnswer = { from, to: target, ...taken, stages, tookMs }
  return settle(facts, memory, [
    ...orders,
    { do: 'answer', request, answer: { of: 'switchover', answer: told } },
  ])
}

function to(
  state: HandingOver,
  stage: HandingOver['stage'],
  ...orders: readonly RoleOrder[]
): Step {
  return { state: { ...state, stage }, orders }
}

/** With the time that this stage has taken. */
function timed(
  { monotonicMs }: RoleFacts,
  state: HandingOver,
  stage: SwitchoverStage,
): HandingOver {
  const { plan } = state
  const stages = { ...plan.stages, [`${stage}Ms`]: monotonicMs - plan.stageMs }
  return { ...state, plan: { ...plan, stages, stageMs: monotonicMs } }
}
