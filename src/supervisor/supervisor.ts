/**
 * Runs an application beside its node. It starts the application once the node can serve, tells or
 * restarts it at each change of role, and ends it with the node. The node is told at each step what
 * the application can be given, so that no request meets a process that is about to end.
 */
import { constants } from 'node:os'
import { WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'
import type { ServedApplication } from '../proxy/servedApplication.ts'
import { ApplicationInstances, type Say, type SetTimer } from './applicationInstances.ts'
import type { ApplicationProcess } from './applicationProcess.ts'
import { step } from './supervision.ts'
import {
  type ApplicationExit,
  SUPERVISION_START,
  type SupervisionAction,
  type SupervisionEnd,
  type SupervisionEvent,
  type SupervisionRules,
  type SupervisionState,
} from './supervisionStates.ts'

export interface SupervisorParts {
  readonly rules: SupervisionRules
  readonly clock: Clock
  /** The program's name, for people; without its arguments, which may be private. */
  readonly command: string
  /** As the node's requests see it. */
  readonly application: ServedApplication
  /**
   * Ports of the application: two when `rules.hasPair`. Without any it listens where the node was
   * told.
   */
  readonly ports: readonly number[]
  /** Makes the process, in the environment of the present role. May throw. */
  spawn(port: number | undefined): ApplicationProcess
  /**
   * Resolves once the node can serve in its present role, or when `signal` is aborted; rejects when
   * it never will.
   */
  whenReady(signal: AbortSignal): Promise<void>
  readonly say: Say
  readonly setTimer?: SetTimer
}

/**
 * A shell gives this plus the signal's number as the exit status of a process that a signal ended.
 */
const SIGNAL_STATUS_BASE = 128

export class Supervisor {
  readonly #parts: SupervisorParts
  /**
   * Resolves when nothing runs any more and nothing will be started: with the application's exit
   * status, or 0 when it was told to stop. Rejects with COMMAND_FAILED, or with why the node never
   * got ready.
   */
  readonly ended: Promise<number>
  readonly #aborted = new AbortController()
  #state: SupervisionState = SUPERVISION_START
  readonly #instances: ApplicationInstances
  /** Aborts what the present phase waits for. */
  #phase = new AbortController()
  #timer: { cancel(): void } | undefined
  #resolve: (status: number) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(parts: SupervisorParts) {
    this.#parts = parts
    this.#instances = new ApplicationInstances({
      ...parts,
      stopTimeoutMs: parts.rules.stopTimeoutMs,
      setTimer: parts.setTimer ?? systemTimer,
      onEvent: (event) => this.#on(event),
    })
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // The program that started it may look later.
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
   * Ends the application, with SIGKILL if it takes too long. Resolves when it has ended; never
   * rejects.
   */
  async stop(): Promise<void> {
    // Processes that are ending do not finish their requests: the clients are about to be cut off
    // anyway.
    this.#instances.hurryRetiring()
    this.#on({ type: 'stop' })
    await this.ended.catch(() => {})
  }

  /** The last resort, for a process that exits now: the application must not outlive its node. */
  abandon(): void {
    this.#instances.killAll()
  }

  #on(event: SupervisionEvent): void {
    const before = this.#state.phase
    const { state, actions } = step(this.#parts.rules, this.#state, event)
    this.#state = state
    if (state.phase !== before) this.#onPhase()
    for (const action of actions) this.#do(action)
  }

  /** Timers and waits belong to the phase that began them. */
  #onPhase(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#phase.abort()
    this.#phase = new AbortController()
  }

  #do(action: SupervisionAction): void {
    const { application, say } = this.#parts
    const instances = this.#instances
    switch (action.do) {
      case 'awaitReady':
        return void this.#awaitReady()
      case 'spawn':
        return instances.start()
      case 'signal':
        say('signalling the application', { signal: action.signal })
        return instances.signal(action.signal)
      case 'killAfter':
        return this.#setTimer('stopOverdue', action.delayMs)
      case 'startAfter':
        say(
          'the application ended by itself; starting it again after a pause',
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
        say('restarting the application in the new role')
        return this.#when(application.drain('it is being restarted', instances.port), 'drained')
      case 'spawnSuccessor':
        return this.#startSuccessor()
      case 'switchOver':
        return instances.switchOver()
      case 'adoptSuccessor':
        return instances.adoptSuccessor()
      case 'dropSuccessor':
        return instances.dropSuccessor()
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
    await this.#instances.untilRetired(signal)
  }

  #startSuccessor(): void {
    const port = this.#instances.startSuccessor()
    if (port === undefined) return
    this.#when(this.#parts.application.accepts(port, this.#phase.signal), 'successorAccepts')
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

  #setTimer(type: 'stopOverdue' | 'backoffOver' | 'followOverdue', delayMs: number): void {
    const { setTimer: set = systemTimer } = this.#parts
    this.#timer?.cancel()
    this.#timer = set(() => this.#on({ type }), delayMs)
  }

  async #end(end: SupervisionEnd): Promise<void> {
    this.#aborted.abort()
    await this.#instances.untilRetired()
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

/** The exit status: the application's own, or 128 plus the number of the signal. */
function statusOf({ code, signal }: ApplicationExit): number {
  return code ?? SIGNAL_STATUS_BASE + (signal ? (constants.signals[signal] ?? 0) : 0)
}

function systemTimer(run: () => void, delayMs: number): { cancel(): void } {
  const timer = setTimer(run, delayMs)
  return { cancel: () => cancelTimer(timer) }
}
