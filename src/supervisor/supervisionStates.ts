/**
 * The states of an application that a node supervises, the events that change them, and the actions
 * that follow. When the node's role changes, an application with one port is stopped and started
 * again. With a pair of ports a successor boots beside it and replaces it. One that takes a signal
 * goes on running.
 *
 *   one port:  running ─> waiting (its turn) ─> draining ─> stopping ─> idle ─> starting ─> running
 *   a pair:    running ─> waiting (its turn) ─> replacing ─> running
 *   a signal:  running ─> following ─> running, or waiting when it does not show that it follows
 *
 * From `roleChanged` on, writes wait until a process of the present role is there. There is never
 * more than one process, and one successor beside it.
 */
export type RoleChangeMode = 'restart' | 'signal' | 'ignore'
export type RestartMode = 'never' | 'on-failure' | 'always'

export interface SupervisionRules {
  readonly onRoleChange: RoleChangeMode
  readonly roleSignal: NodeJS.Signals
  readonly restart: RestartMode
  /** How long a signalled application has to show that it follows. */
  readonly followMs: number
  /** Whether a successor has a port of its own. */
  readonly hasPair: boolean
  readonly stopTimeoutMs: number
  /** The first pause before a restart. It doubles each time up to `maxBackoffMs`. */
  readonly backoffMs: number
  readonly maxBackoffMs: number
  /** An application that ran for so long had no false start: the pauses begin anew. */
  readonly soundRunMs: number
}

/** Why the application is stopped: to start again in the new role, or for good. */
export type StopReason = 'role' | 'end'

export type SupervisionState =
  /** The node cannot serve yet. */
  | { readonly phase: 'idle'; readonly failures: number }
  /** Its process is being made. `next`: what came meanwhile. */
  | { readonly phase: 'starting'; readonly failures: number; readonly next?: StopReason | 'signal' }
  | { readonly phase: 'running'; readonly failures: number }
  /** It was signalled. */
  | { readonly phase: 'following'; readonly failures: number }
  /** It will be started in the new role, and runs on until its turn comes. */
  | { readonly phase: 'waiting'; readonly failures: number }
  | { readonly phase: 'replacing'; readonly failures: number }
  /** It gets no more requests, and answers those that it has. */
  | { readonly phase: 'draining'; readonly failures: number }
  /** `then`: how its successor ended; that is dealt with once this one has ended. */
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
  /** The application has shown that it knows the new role, or has not in time. */
  | { readonly type: 'followed' }
  | { readonly type: 'followOverdue' }
  /** The application may be restarted: another one serves, or has to wait for this one. */
  | { readonly type: 'turn' }
  /** The application has answered what it had under way. */
  | { readonly type: 'drained' }
  | { readonly type: 'successorAccepts' }
  | SuccessorEnd
  /** The time of `startAfter` or `killAfter` is over. */
  | { readonly type: 'backoffOver' }
  | { readonly type: 'stopOverdue' }
  /** The application must end, and not start again. */
  | { readonly type: 'stop' }

export type SuccessorEnd =
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
   * Requests go to the successor. The process before ends once it has answered those that it has.
   */
  | { readonly do: 'switchOver' }
  /** The process has ended: its successor takes its place. */
  | { readonly do: 'adoptSuccessor' }
  /** End the successor. */
  | { readonly do: 'dropSuccessor' }
  /** Nothing runs any more, and nothing will be started. */
  | { readonly do: 'end'; readonly end: SupervisionEnd }

export type SupervisionEnd =
  /** It was told to stop. */
  | { readonly type: 'stopped' }
  | { readonly type: 'exited'; readonly exit: ApplicationExit }
  /** It cannot be run. */
  | { readonly type: 'failed'; readonly detail: string }

export const SUPERVISION_START: SupervisionState = { phase: 'idle', failures: 0 }
