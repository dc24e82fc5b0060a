/**
 * The states of an application that a node supervises, what happens to it, and what can be done
 * with it. When the node's role changes, one with a single port is stopped and started again; one
 * with a pair of ports is replaced by a successor that boots beside it; one that takes a signal goes
 * on.
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
export type StopReason = 'role' | 'end'

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

export const SUPERVISION_START: SupervisionState = { phase: 'idle', failures: 0 }
