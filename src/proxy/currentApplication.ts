/**
 * The application that this node stands in front of: one process after another, each with its own
 * connections.
 */
import type { Logger } from 'pino'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { inTime } from '../platform/inTime.ts'
import { monotonicMs } from '../platform/time.ts'
import { Application } from './application.ts'
import { ApplicationWatch } from './applicationWatch.ts'
import type { Bounds } from './openFiles.ts'
import type { Passes } from './passes.ts'

export interface CurrentApplicationParts {
  readonly options: NodeOptions
  /** What of the options' bounds this process can keep. */
  readonly bounds: Pick<Bounds, 'maxRequests'>
  readonly log: Logger
  readonly passes: Passes
  /** Id of this node. */
  node(): string
}

export class CurrentApplication {
  readonly #parts: CurrentApplicationParts
  readonly watch: ApplicationWatch
  #application: Application | undefined

  constructor(parts: CurrentApplicationParts) {
    this.#parts = parts
    const { options, log } = parts
    const { maxHeld, upstreamEveryMs: everyMs, upstreamFall: fall, upstreamRise: rise } = options
    this.watch = new ApplicationWatch(
      { maxHeld, everyMs, fall, rise, check: options.upstreamCheck },
      { url: () => this.url, log },
    )
  }

  /** Undefined while no application is known. */
  get now(): Application | undefined {
    return this.#application
  }

  get url(): string | undefined {
    return this.#application?.url
  }

  /** Why the application keeps the public side from being ready. */
  get unwellForClients(): string | undefined {
    return this.#parts.options.upstreamCounts === 'nowhere' ? undefined : this.watch.unwell()
  }

  /** Why the application keeps this node from answering that it leads. */
  get unwellForLeading(): string | undefined {
    return this.#parts.options.upstreamCounts === 'leader' ? this.watch.unwell() : undefined
  }

  /** Requests go to `url` from now on. */
  attach(url: string): void {
    this.watch.attached()
    if (this.url === url) return
    void this.#application?.drain()
    this.#application = this.#make(url)
  }

  /**
   * Requests go over new connections to `url` from now on. Resolves when the process before has
   * answered those under way, at the latest after `timeoutMs`.
   */
  async replace(url: string, timeoutMs: number): Promise<void> {
    const old = this.#application
    this.#application = this.#make(url)
    if (old)
      await inTime(
        old.drain().catch(() => {}),
        monotonicMs() + timeoutMs,
      )
  }

  /** No application is known from now on; requests under way end. */
  detach(): void {
    void this.#application?.drain()
    this.#application = undefined
  }

  async close(): Promise<void> {
    const application = this.#application
    this.#application = undefined
    this.watch.stop()
    await application?.close()
  }

  #make(url: string): Application {
    const { options, bounds, log } = this.#parts
    const { answerTimeoutMs } = options
    // Twice: clients and other nodes must not wait for each other's connections.
    const maxConnections = 2 * bounds.maxRequests
    const made: Application = new Application({
      url,
      node: this.#parts.node(),
      maxConnections,
      answerTimeoutMs,
      log,
      passes: this.#parts.passes,
      // Requests at the process before say nothing about this one.
      onReached: () => {
        if (made === this.#application) this.watch.onReached()
      },
      onUnreachable: (detail) => {
        if (made === this.#application) this.watch.onUnreachable(detail)
      },
    })
    return made
  }
}
