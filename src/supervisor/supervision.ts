/**
 * Decides what is done with an application that a node supervises: a state and an event give the
 * next state and what to do. Pure: the supervisor has the processes, the timers and the node. The
 * states are drawn in `supervisionStates.ts`.
 */
import type {
  StopReason,
  SuccessorEnd,
  SupervisionAction,
  SupervisionEnd,
  SupervisionEvent,
  SupervisionRules,
  SupervisionState,
} from './supervisionStates.ts'

export interface Step {
  readonly state: SupervisionState
  readonly actions: readonly SupervisionAction[]
}

/** The pause no longer grows after so many. */
const MAX_FAILURES = 30

/** An event without a meaning in a state changes nothing. */
export function step(
  rules: SupervisionRules,
  state: SupervisionState,
  event: SupervisionEvent,
): Step {
  switch (state.phase) {
    case 'idle':
      return whenIdle(state, event)
    case 'starting':
      return whenStarting(rules, state, event)
    case 'running':
      return whenRunning(rules, state, event)
    case 'following':
      return whenFollowing(rules, state, event)
    case 'waiting':
      return whenWaiting(rules, state, event)
    case 'replacing':
      return whenReplacing(rules, state, event)
    case 'draining':
      return whenDraining(rules, state, event)
    case 'stopping':
      return whenStopping(rules, state, event)
    case 'backingOff':
      return whenBackingOff(state, event)
    case 'ended':
      return stay(state)
  }
}

type In<P extends SupervisionState['phase']> = Extract<SupervisionState, { phase: P }>

function whenIdle(state: In<'idle'>, event: SupervisionEvent): Step {
  switch (event.type) {
    case 'begin':
      return { state, actions: [{ do: 'awaitReady' }] }
    case 'ready':
      return start(state.failures)
    case 'stop':
      return ended({ type: 'stopped' })
    default:
      return stay(state)
  }
}

function whenStarting(
  rules: SupervisionRules,
  state: In<'starting'>,
  event: SupervisionEvent,
): Step {
  const { failures, next } = state
  switch (event.type) {
    case 'spawned':
      return whenSpawned(rules, failures, next)
    case 'spawnFailed':
      if (next === 'end') return ended({ type: 'stopped' })
      return ended({ type: 'failed', detail: event.detail })
    case 'stop':
      return stay({ ...state, next: 'end' })
    case 'roleChanged':
      if (next === 'end' || rules.onRoleChange === 'ignore') return stay(state)
      return stay({ ...state, next: rules.onRoleChange === 'restart' ? 'role' : 'signal' })
    default:
      return stay(state)
  }
}

function whenSpawned(
  rules: SupervisionRules,
  failures: number,
  next: StopReason | 'signal' | undefined,
): Step {
  if (next === 'end') return stopIt(rules, failures, next)
  if (next === 'role') return awaitTurn(failures)
  if (next === 'signal') return signalIt(rules, failures)
  return { state: { phase: 'running', failures }, actions: [] }
}

function whenRunning(rules: SupervisionRules, state: In<'running'>, event: SupervisionEvent): Step {
  switch (event.type) {
    case 'exited':
      return whenExited(rules, state.failures, event)
    case 'stop':
      return stopIt(rules, state.failures, 'end')
    case 'roleChanged':
      if (rules.onRoleChange === 'restart') return awaitTurn(state.failures)
      if (rules.onRoleChange === 'ignore') return stay(state)
      return signalIt(rules, state.failures)
    // A successor took the place of a process that had ended, and then failed.
    case 'spawnFailed':
      return ended({ type: 'failed', detail: event.detail })
    default:
      return stay(state)
  }
}

function whenFollowing(
  rules: SupervisionRules,
  state: In<'following'>,
  event: SupervisionEvent,
): Step {
  switch (event.type) {
    case 'followed':
      return {
        state: { phase: 'running', failures: state.failures },
        actions: [{ do: 'releaseWrites' }],
      }
    case 'followOverdue':
      return awaitTurn(state.failures)
    case 'roleChanged':
      return signalIt(rules, state.failures)
    case 'exited':
      return startAnew()
    case 'stop':
      return stopIt(rules, state.failures, 'end')
    default:
      return stay(state)
  }
}

function whenWaiting(rules: SupervisionRules, state: In<'waiting'>, event: SupervisionEvent): Step {
  const { failures } = state
  switch (event.type) {
    case 'turn':
      if (!rules.hasPair)
        return { state: { phase: 'draining', failures }, actions: [{ do: 'drain' }] }
      return { state: { phase: 'replacing', failures }, actions: [{ do: 'spawnSuccessor' }] }
    case 'roleChanged':
      return awaitTurn(failures)
    case 'exited':
      return startAnew()
    case 'stop':
      return stopIt(rules, failures, 'end')
    default:
      return stay(state)
  }
}

function whenReplacing(
  rules: SupervisionRules,
  state: In<'replacing'>,
  event: SupervisionEvent,
): Step {
  const { failures } = state
  switch (event.type) {
    case 'successorAccepts':
      return { state: { phase: 'running', failures: 0 }, actions: [{ do: 'switchOver' }] }
    case 'successorExited':
    case 'successorFailed':
      return stopIt(rules, failures, 'role', event)
    case 'exited':
      return { state: { phase: 'running', failures: 0 }, actions: [{ do: 'adoptSuccessor' }] }
    case 'roleChanged': {
      const { state: next, actions } = awaitTurn(failures)
      return { state: next, actions: [{ do: 'dropSuccessor' }, ...actions] }
    }
    case 'stop': {
      const { state: next, actions } = stopIt(rules, failures, 'end')
      return { state: next, actions: [{ do: 'dropSuccessor' }, ...actions] }
    }
    default:
      return stay(state)
  }
}

function whenDraining(
  rules: SupervisionRules,
  state: In<'draining'>,
  event: SupervisionEvent,
): Step {
  switch (event.type) {
    case 'drained':
      return stopIt(rules, state.failures, 'role')
    case 'exited':
      return startAnew()
    case 'stop':
      return stopIt(rules, state.failures, 'end')
    default:
      return stay(state)
  }
}

/** The process ended by itself. */
function whenExited(
  { restart, backoffMs, maxBackoffMs, soundRunMs }: SupervisionRules,
  before: number,
  { exit, ranMs }: Extract<SupervisionEvent, { type: 'exited' }>,
): Step {
  if (restart === 'never' || (restart === 'on-failure' && exit.code === 0))
    return ended({ type: 'exited', exit })
  const failures = Math.min(MAX_FAILURES, ranMs >= soundRunMs ? 1 : before + 1)
  const delayMs = Math.min(maxBackoffMs, backoffMs * 2 ** (failures - 1))
  return { state: { phase: 'backingOff', failures }, actions: [{ do: 'startAfter', delayMs }] }
}

function whenStopping(
  rules: SupervisionRules,
  state: In<'stopping'>,
  event: SupervisionEvent,
): Step {
  const { why, then } = state
  switch (event.type) {
    case 'exited':
      if (why === 'end') return ended({ type: 'stopped' })
      if (then?.type === 'successorFailed') return ended({ type: 'failed', detail: then.detail })
      if (then) return whenExited(rules, state.failures, { ...then, type: 'exited' })
      return startAnew()
    case 'stopOverdue':
      return { state, actions: [{ do: 'signal', signal: 'SIGKILL' }] }
    case 'stop':
      return stay({ ...state, why: 'end' })
    default:
      return stay(state)
  }
}

function whenBackingOff(state: In<'backingOff'>, event: SupervisionEvent): Step {
  switch (event.type) {
    case 'backoffOver':
      return { state: { phase: 'idle', failures: state.failures }, actions: [{ do: 'awaitReady' }] }
    case 'stop':
      return ended({ type: 'stopped' })
    default:
      // After a change of role it will be started in the new role anyway.
      return stay(state)
  }
}

function start(failures: number): Step {
  return { state: { phase: 'starting', failures }, actions: [{ do: 'spawn' }] }
}

/** A change of role is not a failure of the application. */
function startAnew(): Step {
  return { state: { phase: 'idle', failures: 0 }, actions: [{ do: 'awaitReady' }] }
}

function awaitTurn(failures: number): Step {
  return {
    state: { phase: 'waiting', failures },
    actions: [{ do: 'holdWrites' }, { do: 'awaitTurn' }],
  }
}

function signalIt(
  { roleSignal: signal, followMs: delayMs }: SupervisionRules,
  failures: number,
): Step {
  return {
    state: { phase: 'following', failures },
    actions: [{ do: 'holdWrites' }, { do: 'signal', signal }, { do: 'awaitFollow', delayMs }],
  }
}

function stopIt(
  { stopTimeoutMs }: SupervisionRules,
  failures: number,
  why: StopReason,
  then?: SuccessorEnd,
): Step {
  return {
    state: { phase: 'stopping', failures, why, ...(then ? { then } : {}) },
    actions: [
      { do: 'signal', signal: 'SIGTERM' },
      { do: 'killAfter', delayMs: stopTimeoutMs },
    ],
  }
}

function ended(end: SupervisionEnd): Step {
  return { state: { phase: 'ended' }, actions: [{ do: 'end', end }] }
}

function stay(state: SupervisionState): Step {
  return { state, actions: [] }
}
