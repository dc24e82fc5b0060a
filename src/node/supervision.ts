/**
 * What is done with an application that a node supervises: a state and an event give the next state and what is to
 * be done. Pure: processes, timers and the node are the supervisor's.
 */
export type RoleChangeMode = 'restart' | 'signal' | 'ignore'
export type RestartMode = 'never' | 'on-failure' | 'always'

export interface SupervisionRules {
  readonly onRoleChange: RoleChangeMode
  readonly roleSignal: NodeJS.Signals
  readonly restart: RestartMode
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
  | { readonly phase: 'stopping'; readonly failures: number; readonly why: StopReason }
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
  /** The time that was asked for with `startAfter` or `killAfter` is over. */
  | { readonly type: 'backoffOver' }
  | { readonly type: 'stopOverdue' }
  /** The application is to end, and not to be started again. */
  | { readonly type: 'stop' }

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
export function step(rules: SupervisionRules, state: SupervisionState, event: SupervisionEvent): Step {
  switch (state.phase) {
    case 'idle':
      return whenIdle(state, event)
    case 'starting':
      return whenStarting(rules, state, event)
    case 'running':
      return whenRunning(rules, state, event)
    case 'stopping':
      return whenStopping(state, event)
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

function whenStarting(rules: SupervisionRules, state: In<'starting'>, event: SupervisionEvent): Step {
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
  if (next === 'role' || next === 'end') return stopIt(rules, failures, next)
  const signals: SupervisionAction[] = next === 'signal' ? [{ do: 'signal', signal: rules.roleSignal }] : []
  return { state: { phase: 'running', failures }, actions: signals }
}

function whenRunning(rules: SupervisionRules, state: In<'running'>, event: SupervisionEvent): Step {
  switch (event.type) {
    case 'exited':
      return whenExited(rules, state.failures, event)
    case 'stop':
      return stopIt(rules, state.failures, 'end')
    case 'roleChanged':
      if (rules.onRoleChange === 'restart') return stopIt(rules, state.failures, 'role')
      if (rules.onRoleChange === 'ignore') return stay(state)
      return { state, actions: [{ do: 'signal', signal: rules.roleSignal }] }
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

function whenStopping(state: In<'stopping'>, event: SupervisionEvent): Step {
  switch (event.type) {
    case 'exited':
      if (state.why === 'end') return ended({ type: 'stopped' })
      // A change of role is no failure of the application's.
      return { state: { phase: 'idle', failures: 0 }, actions: [{ do: 'awaitReady' }] }
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

function stopIt({ stopTimeoutMs }: SupervisionRules, failures: number, why: StopReason): Step {
  return {
    state: { phase: 'stopping', failures, why },
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
