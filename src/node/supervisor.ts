/** Runs an application beside its node: started once the node can serve, told of or restarted at each change of role, ended with it. */
import { constants } from 'node:os'
import type { Clock } from '../clock.ts'
import { messageOf, WalcastError } from '../errors.ts'
import {
  type ApplicationExit,
  SUPERVISION_START,
  type SupervisionAction,
  type SupervisionEnd,
  type SupervisionEvent,
  type SupervisionRules,
  type SupervisionState,
  step,
} from './supervision.ts'

/** A process of the application, as far as it is looked after. */
export interface ApplicationProcess {
  readonly pid: number | undefined
  kill(signal: NodeJS.Signals): void
  onSpawned(listener: () => void): void
  /** It could not be made; `onExited` is not called then. */
  onFailed(listener: (error: Error) => void): void
  onExited(listener: (exit: ApplicationExit) => void): void
}

export interface SupervisorParts {
  readonly rules: SupervisionRules
  readonly clock: Clock
  /** What is run, for people; without its arguments, which may be private. */
  readonly command: string
  /** Makes the process, in the environment of the present role. May throw. */
  spawn(): ApplicationProcess
  /** Resolves once the node can serve in its present role, or when `signal` is aborted; rejects when it never will. */
  whenReady(signal: AbortSignal): Promise<void>
  /** What happens, for the log. */
  say(text: string, details?: Readonly<Record<string, unknown>>): void
  setTimer?(run: () => void, delayMs: number): { cancel(): void }
}

/** What a shell would give as exit status of what ended with a signal. */
const SIGNAL_STATUS_BASE = 128

export class Supervisor {
  readonly #parts: SupervisorParts
  /** Resolves when nothing runs any more and nothing is to be started: with the application's exit status, 0 when it was told to stop. Rejects with COMMAND_FAILED, or with why the node never got ready. */
  readonly ended: Promise<number>
  readonly #aborted = new AbortController()
  #state: SupervisionState = SUPERVISION_START
  #process: ApplicationProcess | undefined
  #startedMs = 0
  #timer: { cancel(): void } | undefined
  #resolve: (status: number) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(parts: SupervisorParts) {
    this.#parts = parts
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever started it may come to look later.
    this.ended.catch(() => {})
  }

  get phase(): SupervisionState['phase'] {
    return this.#state.phase
  }

  begin(): void {
    this.#on({ type: 'begin' })
  }

  /** The node has another role. */
  roleChanged(): void {
    this.#on({ type: 'roleChanged' })
  }

  /** Ends the application, with SIGKILL when it takes too long. Resolves when it has ended, and never rejects. */
  async stop(): Promise<void> {
    this.#on({ type: 'stop' })
    await this.ended.catch(() => {})
  }

  /** The last resort, for a process that exits now: the application must not be left behind without its node. */
  abandon(): void {
    this.#process?.kill('SIGKILL')
  }

  #on(event: SupervisionEvent): void {
    const before = this.#state.phase
    const { state, actions } = step(this.#parts.rules, this.#state, event)
    this.#state = state
    if (state.phase !== before) this.#onPhase()
    for (const action of actions) this.#do(action)
  }

  /** A timer belongs to the phase that set it. */
  #onPhase(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #do(action: SupervisionAction): void {
    switch (action.do) {
      case 'awaitReady':
        return void this.#awaitReady()
      case 'spawn':
        return this.#spawn()
      case 'signal':
        this.#parts.say('signalling the application', { signal: action.signal })
        return this.#process?.kill(action.signal)
      case 'killAfter':
        return this.#setTimer('stopOverdue', action.delayMs)
      case 'startAfter':
        this.#parts.say('the application is started again after a pause', { delayMs: action.delayMs })
        return this.#setTimer('backoffOver', action.delayMs)
      case 'end':
        return this.#end(action.end)
    }
  }

  async #awaitReady(): Promise<void> {
    try {
      await this.#parts.whenReady(this.#aborted.signal)
      this.#on({ type: 'ready' })
    } catch (error) {
      if (this.#state.phase === 'ended') return
      this.#state = { phase: 'ended' }
      this.#reject(error)
    }
  }

  #spawn(): void {
    const { clock, say } = this.#parts
    this.#startedMs = clock.nowMs()
    let made: ApplicationProcess
    try {
      made = this.#parts.spawn()
    } catch (error) {
      return this.#on({ type: 'spawnFailed', detail: messageOf(error) })
    }
    this.#process = made
    made.onSpawned(() => {
      say('the application runs', { pid: made.pid })
      this.#on({ type: 'spawned' })
    })
    made.onFailed((error) => this.#on({ type: 'spawnFailed', detail: messageOf(error) }))
    made.onExited((exit) => {
      this.#process = undefined
      const ranMs = clock.nowMs() - this.#startedMs
      say('the application has ended', { ...exit, ranMs: Math.round(ranMs) })
      this.#on({ type: 'exited', exit, ranMs })
    })
  }

  #setTimer(type: 'stopOverdue' | 'backoffOver', delayMs: number): void {
    const set = this.#parts.setTimer ?? systemTimer
    this.#timer = set(() => this.#on({ type }), delayMs)
  }

  #end(end: SupervisionEnd): void {
    this.#aborted.abort()
    switch (end.type) {
      case 'stopped':
        return this.#resolve(0)
      case 'exited':
        return this.#resolve(statusOf(end.exit))
      case 'failed':
        return this.#reject(
          new WalcastError('COMMAND_FAILED', { command: this.#parts.command, detail: end.detail }),
        )
    }
  }
}

/** Exit status of one that ended: its own, or 128 and the number of the signal. */
function statusOf({ code, signal }: ApplicationExit): number {
  return code ?? SIGNAL_STATUS_BASE + (signal ? (constants.signals[signal] ?? 0) : 0)
}

function systemTimer(run: () => void, delayMs: number): { cancel(): void } {
  const timer = setTimeout(run, delayMs)
  return { cancel: () => clearTimeout(timer) }
}
