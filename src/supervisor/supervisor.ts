/**
 * Runs an application beside its node: started once the node can serve, told of or restarted at
 * each change of role, ended with it. The node is told at each step what the application can be
 * given, so that no request meets a process that is about to end.
 */
import { constants } from 'node:os'
import { messageOf, WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'
import type { ServedApplication } from '../proxy/servedApplication.ts'
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
  /** As the node's requests see it. */
  readonly application: ServedApplication
  /**
   * Of the application: two when `rules.hasPair`. Without any it listens where the node was told.
   */
  readonly ports: readonly number[]
  /** Makes the process, in the environment of the present role. May throw. */
  spawn(port: number | undefined): ApplicationProcess
  /**
   * Resolves once the node can serve in its present role, or when `signal` is aborted; rejects when
   * it never will.
   */
  whenReady(signal: AbortSignal): Promise<void>
  /** What happens, for the log. */
  say(text: string, details?: Readonly<Record<string, unknown>>, level?: 'info' | 'warn'): void
  setTimer?(run: () => void, delayMs: number): { cancel(): void }
}

/** A process and where it listens. */
interface Instance {
  readonly process: ApplicationProcess
  readonly port: number | undefined
}

/** What a shell would give as exit status of what ended with a signal. */
const SIGNAL_STATUS_BASE = 128

export class Supervisor {
  readonly #parts: SupervisorParts
  /**
   * Resolves when nothing runs any more and nothing is to be started: with the application's exit
   * status, 0 when it was told to stop. Rejects with COMMAND_FAILED, or with why the node never got
   * ready.
   */
  readonly ended: Promise<number>
  readonly #aborted = new AbortController()
  #state: SupervisionState = SUPERVISION_START
  #instance: Instance | undefined
  #successor: Instance | undefined
  /** Processes that are ending while another one runs. */
  readonly #retiring = new Set<Instance>()
  #onRetired: () => void = () => {}
  #port: number | undefined
  /** Of what the present phase waits for. */
  #phase = new AbortController()
  #timer: { cancel(): void } | undefined
  #resolve: (status: number) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(parts: SupervisorParts) {
    this.#parts = parts
    this.#port = parts.ports[0]
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
    this.#parts.application.suspend('it is not started yet')
    this.#on({ type: 'begin' })
  }

  /** The node has another role. */
  roleChanged(): void {
    this.#on({ type: 'roleChanged' })
  }

  /**
   * Ends the application, with SIGKILL when it takes too long. Resolves when it has ended, and
   * never rejects.
   */
  async stop(): Promise<void> {
    // One that has requests under way need not be waited for: whoever asked is about to be cut off.
    for (const each of this.#retiring) each.process.kill('SIGTERM')
    this.#on({ type: 'stop' })
    await this.ended.catch(() => {})
  }

  /**
   * The last resort, for a process that exits now: the application must not be left behind without
   * its node.
   */
  abandon(): void {
    for (const each of [this.#instance, this.#successor, ...this.#retiring])
      each?.process.kill('SIGKILL')
  }

  #on(event: SupervisionEvent): void {
    const before = this.#state.phase
    const { state, actions } = step(this.#parts.rules, this.#state, event)
    this.#state = state
    if (state.phase !== before) this.#onPhase()
    for (const action of actions) this.#do(action)
  }

  /** A timer, and what is waited for, belong to the phase that began it. */
  #onPhase(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#phase.abort()
    this.#phase = new AbortController()
  }

  #do(action: SupervisionAction): void {
    const { application, say } = this.#parts
    switch (action.do) {
      case 'awaitReady':
        return void this.#awaitReady()
      case 'spawn':
        return this.#spawn()
      case 'signal':
        say('signalling the application', { signal: action.signal })
        return this.#instance?.process.kill(action.signal)
      case 'killAfter':
        return this.#setTimer('stopOverdue', action.delayMs)
      case 'startAfter':
        say(
          'the application ended by itself: started again after a pause',
          { delayMs: action.delayMs },
          'warn',
        )
        return this.#setTimer('backoffOver', action.delayMs)
      case 'holdWrites':
        return application.holdWrites()
      case 'releaseWrites':
        return application.releaseWrites()
      case 'awaitFollow':
        this.#setTimer('followOverdue', action.delayMs)
        return this.#when(application.followed(this.#phase.signal), 'followed')
      case 'awaitTurn':
        return this.#when(this.#untilTurn(this.#phase.signal), 'turn')
      case 'drain':
        say('the application is restarted in the new role')
        return this.#when(
          application.drain('it is being restarted', this.#instance?.port),
          'drained',
        )
      case 'spawnSuccessor':
        return this.#spawnSuccessor()
      case 'switchOver':
        return this.#switchOver()
      case 'adoptSuccessor':
        return this.#adoptSuccessor()
      case 'dropSuccessor':
        return this.#dropSuccessor()
      case 'end':
        return void this.#end(action.end)
    }
  }

  /** Sends the event when `promise` resolves within the present phase. */
  #when(
    promise: Promise<unknown>,
    type: 'followed' | 'turn' | 'drained' | 'successorAccepts',
  ): void {
    const { signal } = this.#phase
    void promise.then(() => {
      if (!signal.aborted) this.#on({ type })
    })
  }

  async #untilTurn(signal: AbortSignal): Promise<void> {
    await this.#parts.application.turn(signal)
    // A port is free again when its process has ended.
    while (this.#retiring.size > 0 && !signal.aborted)
      await new Promise<void>((resolve) => {
        this.#onRetired = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
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
    const { application } = this.#parts
    const made = this.#make(this.#port)
    if (!('process' in made)) return this.#on({ type: 'spawnFailed', detail: made.failure })
    this.#instance = made
    application.started(made.port)
    made.process.onSpawned(() => this.#on({ type: 'spawned' }))
  }

  #spawnSuccessor(): void {
    const { ports, application } = this.#parts
    const port = ports.find((each) => each !== this.#instance?.port)
    const made = this.#make(port)
    if (!('process' in made)) return this.#on({ type: 'successorFailed', detail: made.failure })
    this.#successor = made
    if (port !== undefined)
      this.#when(application.accepts(port, this.#phase.signal), 'successorAccepts')
  }

  /** A process, whatever place it comes to have. */
  #make(port: number | undefined): Instance | { readonly failure: string } {
    const { clock, say } = this.#parts
    const startedMs = clock.nowMs()
    let process: ApplicationProcess
    try {
      process = this.#parts.spawn(port)
    } catch (error) {
      return { failure: messageOf(error) }
    }
    const made = { process, port }
    process.onSpawned(() => say('the application runs', { pid: process.pid, port }))
    process.onFailed((error) => this.#onFailed(made, messageOf(error)))
    process.onExited((exit) => {
      const ranMs = clock.nowMs() - startedMs
      say('the application has ended', { pid: process.pid, ...exit, ranMs: Math.round(ranMs) })
      this.#onExited(made, exit, ranMs)
    })
    return made
  }

  #onFailed(made: Instance, detail: string): void {
    if (made === this.#instance) {
      this.#instance = undefined
      this.#on({ type: 'spawnFailed', detail })
    } else if (made === this.#successor) {
      this.#successor = undefined
      this.#on({ type: 'successorFailed', detail })
    } else this.#onGone(made)
  }

  #onExited(made: Instance, exit: ApplicationExit, ranMs: number): void {
    if (made === this.#instance) {
      this.#instance = undefined
      this.#parts.application.suspend('it has ended')
      this.#on({ type: 'exited', exit, ranMs })
    } else if (made === this.#successor) {
      this.#successor = undefined
      this.#on({ type: 'successorExited', exit, ranMs })
    } else this.#onGone(made)
  }

  #onGone(made: Instance): void {
    this.#retiring.delete(made)
    this.#onRetired()
  }

  #switchOver(): void {
    const old = this.#instance
    const next = this.#successor
    if (!next) return
    this.#successor = undefined
    this.#instance = next
    this.#port = next.port
    this.#parts.say('requests go to the application of the new role', {
      pid: next.process.pid,
      port: next.port,
    })
    const drained = this.#parts.application.replacedBy(next.port)
    if (old) this.#retire(old, drained)
  }

  #adoptSuccessor(): void {
    this.#instance = this.#successor
    this.#successor = undefined
    this.#port = this.#instance?.port
    this.#parts.application.started(this.#port)
  }

  #dropSuccessor(): void {
    if (this.#successor) this.#retire(this.#successor, Promise.resolve())
    this.#successor = undefined
  }

  /** Ends a process that is the application no more. */
  #retire(made: Instance, drained: Promise<void>): void {
    this.#retiring.add(made)
    void drained.then(() => {
      if (!this.#retiring.has(made)) return
      made.process.kill('SIGTERM')
      const set = this.#parts.setTimer ?? systemTimer
      const timer = set(() => made.process.kill('SIGKILL'), this.#parts.rules.stopTimeoutMs)
      made.process.onExited(() => timer.cancel())
    })
  }

  #setTimer(type: 'stopOverdue' | 'backoffOver' | 'followOverdue', delayMs: number): void {
    const set = this.#parts.setTimer ?? systemTimer
    this.#timer?.cancel()
    this.#timer = set(() => this.#on({ type }), delayMs)
  }

  async #end(end: SupervisionEnd): Promise<void> {
    this.#aborted.abort()
    while (this.#retiring.size > 0)
      await new Promise<void>((resolve) => {
        this.#onRetired = resolve
      })
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
  const timer = setTimer(run, delayMs)
  return { cancel: () => cancelTimer(timer) }
}
