/**
 * The processes of a supervised application: the one that gets requests, its successor, and those
 * that are ending. What happens to one of them becomes an event of the supervision. Which event
 * depends on the place that the process has by then.
 */
import { messageOf } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { ServedApplication } from '../proxy/servedApplication.ts'
import type { ApplicationProcess } from './applicationProcess.ts'
import type { ApplicationExit, SupervisionEvent } from './supervisionStates.ts'

/** What happens, for the log. */
export type Say = (
  text: string,
  details?: Readonly<Record<string, unknown>>,
  level?: 'info' | 'warn',
) => void

export type SetTimer = (run: () => void, delayMs: number) => { cancel(): void }

export interface ApplicationInstancesParts {
  readonly clock: Clock
  readonly application: Pick<ServedApplication, 'suspend' | 'started' | 'replacedBy'>
  /** None, one, or a pair: see `SupervisorParts`. */
  readonly ports: readonly number[]
  readonly stopTimeoutMs: number
  readonly setTimer: SetTimer
  readonly say: Say
  spawn(port: number | undefined): ApplicationProcess
  onEvent(event: SupervisionEvent): void
}

/** A process and where it listens. */
interface Instance {
  readonly process: ApplicationProcess
  readonly port: number | undefined
}

export class ApplicationInstances {
  readonly #parts: ApplicationInstancesParts
  #current: Instance | undefined
  #successor: Instance | undefined
  /** Those that are ending while another one runs. */
  readonly #retiring = new Set<Instance>()
  readonly #onRetired = new Set<() => void>()
  /** Where the next one listens. */
  #port: number | undefined

  constructor(parts: ApplicationInstancesParts) {
    this.#parts = parts
    this.#port = parts.ports[0]
  }

  /** Where the process that gets requests listens; undefined while there is none. */
  get port(): number | undefined {
    return this.#current?.port
  }

  signal(signal: NodeJS.Signals): void {
    this.#current?.process.kill(signal)
  }

  /** Processes that are ending get SIGTERM now, before they have answered what they have. */
  hurryRetiring(): void {
    for (const each of this.#retiring) each.process.kill('SIGTERM')
  }

  /** Kills all of them. */
  killAll(): void {
    for (const each of [this.#current, this.#successor, ...this.#retiring])
      each?.process.kill('SIGKILL')
  }

  /** Resolves when none is ending any more, or when `signal` is aborted. */
  async untilRetired(signal?: AbortSignal): Promise<void> {
    while (this.#retiring.size > 0 && !signal?.aborted)
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#onRetired.delete(wake)
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        this.#onRetired.add(wake)
        signal?.addEventListener('abort', wake)
      })
  }

  start(): void {
    const { application, onEvent } = this.#parts
    const made = this.#make(this.#port)
    if (!('process' in made)) return onEvent({ type: 'spawnFailed', detail: made.failure })
    this.#current = made
    application.started(made.port)
    made.process.onSpawned(() => onEvent({ type: 'spawned' }))
  }

  /** Returns its port. Undefined when there is no other port, or the process could not be made. */
  startSuccessor(): number | undefined {
    const { ports, onEvent } = this.#parts
    const port = ports.find((each) => each !== this.#current?.port)
    const made = this.#make(port)
    if ('process' in made) {
      this.#successor = made
      return port
    }
    onEvent({ type: 'successorFailed', detail: made.failure })
    return undefined
  }

  /** Requests go to the successor. The process before ends once it has answered what it has. */
  switchOver(): void {
    const { say, application } = this.#parts
    const old = this.#current
    const next = this.#successor
    if (!next) return
    this.#successor = undefined
    this.#current = next
    this.#port = next.port
    say('requests go to the application of the new role', {
      pid: next.process.pid,
      port: next.port,
    })
    const drained = application.replacedBy(next.port)
    if (old) this.#retire(old, drained)
  }

  /** The process before has ended: its successor takes its place. */
  adoptSuccessor(): void {
    this.#current = this.#successor
    this.#successor = undefined
    this.#port = this.#current?.port
    this.#parts.application.started(this.#port)
  }

  dropSuccessor(): void {
    if (this.#successor) this.#retire(this.#successor, Promise.resolve())
    this.#successor = undefined
  }

  /** A process, whatever place it comes to have. */
  #make(port: number | undefined): Instance | { readonly failure: string } {
    const { clock, say, spawn } = this.#parts
    const startedMs = clock.nowMs()
    let process: ApplicationProcess
    try {
      process = spawn(port)
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
    if (made === this.#current) {
      this.#current = undefined
      this.#parts.onEvent({ type: 'spawnFailed', detail })
    } else if (made === this.#successor) {
      this.#successor = undefined
      this.#parts.onEvent({ type: 'successorFailed', detail })
    } else this.#onGone(made)
  }

  #onExited(made: Instance, exit: ApplicationExit, ranMs: number): void {
    const { application, onEvent } = this.#parts
    if (made === this.#current) {
      this.#current = undefined
      application.suspend('it has ended')
      onEvent({ type: 'exited', exit, ranMs })
    } else if (made === this.#successor) {
      this.#successor = undefined
      onEvent({ type: 'successorExited', exit, ranMs })
    } else this.#onGone(made)
  }

  #onGone(made: Instance): void {
    this.#retiring.delete(made)
    for (const wake of this.#onRetired) wake()
  }

  /** Ends a process once it is drained. */
  #retire(made: Instance, drained: Promise<void>): void {
    const { setTimer, stopTimeoutMs } = this.#parts
    this.#retiring.add(made)
    void drained.then(() => {
      if (!this.#retiring.has(made)) return
      made.process.kill('SIGTERM')
      const timer = setTimer(() => made.process.kill('SIGKILL'), stopTimeoutMs)
      made.process.onExited(() => timer.cancel())
    })
  }
}
