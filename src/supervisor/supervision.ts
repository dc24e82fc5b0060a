/**
 * What is done with an application that a node supervises: a state and an event give the next state
 * and what is to be done. Pure: processes, timers and the node are the supervisor's. At a change of
 * role:
 *
 *   running ─> waiting (its turn) ─> draining ─> stopping ─> idle ─> starting ─> running           one port
 *                    ^  └──────────> replacing (its successor boots beside it) ─> running          a pair of ports
 *   running ─> following (it was signalled) ─> running, or waiting when it does not show that it follows
 *
 * From `roleChanged` on, writes are held until a process of the present role is there. There is
 * never more than one process, and one successor beside it.
 */
export type RoleChangeMode = 'restart' | 'signal' | 'ignore'
export type RestartMode = 'never' | 'on-failure' | 'always'

export interface SupervisionRules {
  readonly onRoleChange: RoleChangeMode
  readonly roleSignal: NodeJS.Signals
  readonly restart: RestartMode
  /** How long one that was signalled has to show that it follows. */
  readonly followMs: number
  /** Whether a successor has a port of its own. */
  readonly hasPair: boolean
  readonly stopTimeoutMs: number
  /** The first pause before a restart, doubled each time up to the longest. */
  readonly backoffMs: number
  readonly maxBackoffMs: number
  /** One that ran for so long had no false start: the pauses begin anew. */
  readonly soundRunMs: number
}

/** Why the application is being stopped: to be started again in the new role, or for good. */
type StopReason = 'role' | 'end'

export type SupervisionState =
  /** The node cannot serve yet. */
  | { readonly phase: 'idle'; readonly failures: number }
  /** Its process is being made. `next`: what came meanwhile. */
  | { readonly phase: 'starting'; readonly failures: number; readonly next?: StopReason | 'signal' }
  | { readonly phase: 'running'; readonly failures: number }
  /** It was signalled. */
  | { readonly phase: 'following'; readonly failures: number }
  /** It is to be started in the new role, and goes on as it is until its turn comes. */
  | { readonly phase: 'waiting'; readonly failures: number }
  | { readonly phase: 'replacing'; readonly failures: number }
  /** It gets no more requests, and answers those that it has. */
  | { readonly phase: 'draining'; readonly failures: number }
  /** `then`: what its successor came to, which is dealt with once this one has ended. */
  | {
      readonly phase: 'stopping'
      readonly failures: number
      readonly why: StopReason
      readonly then?: SuccessorEnd
    }
  | { readonly phase: 'backingOff'; readonly failures: number }
  | { readonly phase: 'ended' }

export type SupervisionEvent =
  | { readonly type: 'begin' }
  /** The node can serve in its present role. */
  | { readonly type: 'ready' }
  | { readonly type: 'spawned' }
  | { readonly type: 'spawnFailed'; readonly detail: string }
  | { readonly type: 'exited'; readonly exit: ApplicationExit; readonly ranMs: number }
  | { readonly type: 'roleChanged' }
  /** It has shown that it knows the new role, or not in time. */
  | { readonly type: 'followed' }
  | { readonly type: 'followOverdue' }
  /** It may be restarted: another application serves, or has to wait for this one. */
  | { readonly type: 'turn' }
  /** What was under way at it is answered. */
  | { readonly type: 'drained' }
  | { readonly type: 'successorAccepts' }
  | SuccessorEnd
  /** The time that was asked for with `startAfter` or `killAfter` is over. */
  | { readonly type: 'backoffOver' }
  | { readonly type: 'stopOverdue' }
  /** The application is to end, and not to be started again. */
  | { readonly type: 'stop' }

type SuccessorEnd =
  | { readonly type: 'successorExited'; readonly exit: ApplicationExit; readonly ranMs: number }
  | { readonly type: 'successorFailed'; readonly detail: string }

export interface ApplicationExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export type SupervisionAction =
  /** Send `ready` once the node can serve. */
  | { readonly do: 'awaitReady' }
  | { readonly do: 'spawn' }
  | { readonly do: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly do: 'killAfter'; readonly delayMs: number }
  | { readonly do: 'startAfter'; readonly delayMs: number }
  /** Writes wait for the application of the new role. */
  | { readonly do: 'holdWrites' }
  | { readonly do: 'releaseWrites' }
  /** Send `followed` or, after so long, `followOverdue`. */
  | { readonly do: 'awaitFollow'; readonly delayMs: number }
  | { readonly do: 'awaitTurn' }
  | { readonly do: 'drain' }
  | { readonly do: 'spawnSuccessor' }
  /**
   * Requests go to the successor; the process before is ended once it has answered those that it
   * has.
   */
  | { readonly do: 'switchOver' }
  /** The process has ended: its successor takes its place. */
  | { readonly do: 'adoptSuccessor' }
  /** End the successor. */
  | { readonly do: 'dropSuccessor' }
  /** Nothing runs any more and nothing is to be started. */
  | { readonly do: 'end'; readonly end: SupervisionEnd }

export type SupervisionEnd =
  /** It was told to. */
  | { readonly type: 'stopped' }
  | { readonly type: 'exited'; readonly exit: ApplicationExit }
  /** It cannot be run. */
  | { readonly type: 'failed'; readonly detail: string }

export interface Step {
  readonly state: SupervisionState
  readonly actions: readonly SupervisionAction[]
}

export const SUPERVISION_START: SupervisionState = { phase: 'idle', failures: 0 }
/** The pause no longer grows after so many. */
const MAX_FAILURES = 30

/** An event that means nothing in a state changes nothing. */
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
    // Of a successor that took the place of one that had ended.
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

/** It ended by itself. */
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
      // After a change of role it is started in the new one anyway.
      return stay(state)
  }
}

function start(failures: number): Step {
  return { state: { phase: 'starting', failures }, actions: [{ do: 'spawn' }] }
}

/** A change of role is no failure of the application's. */
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
