/**
 * Runs passes over the database one after another, at a limited rate, or at once on demand, and has
 * the rotten pages repaired.
 */
import { WalcastError } from '../../errors.ts'
import type { Clock } from '../../platform/clock.ts'
import { cancelTimer, delay, setTimer, type Timer } from '../../platform/time.ts'
import { RottenPages } from './rottenPages.ts'
import { type PassResult, type RottenPage, type ScrubHost, ScrubPass } from './scrubPass.ts'

export interface ScrubOptions {
  /** Bytes a second. With 0 only passes on demand run. */
  readonly bytesPerSecond: number
  /** From the start of a pass to that of the next. */
  readonly everyMs: number
  readonly clock: Clock
}

export interface ScrubberHost extends Pick<ScrubHost, 'pages' | 'look'> {
  /** Whether there is a node to take right images from. */
  readonly canRepair: boolean
  /** Takes on the repair of pages. False when that is not possible now. */
  repair(rotten: readonly RottenPage[]): boolean
  /** Has all pages compared with the leader's, where there is one. */
  repairAll(): void
  /**
   * Whether the checksums in memory are those that the pages should have. They are not while a
   * repair goes on.
   */
  isTrusted(): boolean
  readonly observer: ScrubObserver
}

export interface ScrubObserver {
  onChecked(pages: number): void
  onPass(pass: PassResult): void
  /** Pages found that were not known. */
  onRotten(pages: readonly number[]): void
  /** Pages known to be rotten that are right again. */
  onRepaired(pages: readonly number[]): void
  /** The state checksum in memory does not follow from the page checksums in memory. */
  onStateWrong(): void
  onFailure(error: unknown): void
}

export interface ScrubStatus {
  /** End of the last whole pass, 0 before the first. */
  readonly lastPassMs: number
  readonly passes: number
  /** The pass under way, that on demand before one in the background. */
  readonly running: { readonly page: number; readonly pages: number } | undefined
  /** Pages known to be wrong now, the first of them. */
  readonly rotten: readonly number[]
  readonly rottenPages: number
  /** What is known to be wrong now: pages, and the state checksum in memory. */
  readonly unexplained: number
  /** Whether pages are read from the disk; undefined before the first pass. */
  readonly direct: boolean | undefined
}

/** A starting node has other things to do first. */
const FIRST_MS = 5 * 60_000
const MIN_PAUSE_MS = 10
const RETRY_MS = 1000
/** After a pass that did not reach the end, the next begins so much later. */
const CUT_MS = 60_000
/** How long a pass on demand waits for the database to be at rest. */
const REST_LIMIT_MS = 10_000
const REST_MS = 20
/** At most so many page numbers are told. */
export const MAX_TOLD = 100

export class Scrubber {
  readonly #options: ScrubOptions
  readonly #host: ScrubberHost
  readonly #rotten = new RottenPages()
  readonly #end = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  #pass: ScrubPass | undefined
  #demanded: Promise<PassResult> | undefined
  /** Once it reads. */
  #demandedNow: ScrubPass | undefined
  #timer: Timer | undefined
  #retryTimer: Timer | undefined
  #isRechecking = false
  #recheckAgain = false
  #lastPassMs = 0
  #passes = 0
  #direct: boolean | undefined
  #isStateRight = true
  /** The last pass found too many rotten pages to go on: what it did not reach is not known. */
  #isCut = false
  /** When the bytes read so far may have been read. */
  #dueMs = 0

  constructor(options: ScrubOptions, host: ScrubberHost) {
    this.#options = options
    this.#host = host
  }

  get status(): ScrubStatus {
    const pass = this.#demandedNow ?? this.#pass
    const pages = pass && this.#host.pages()?.sums.pages
    return {
      lastPassMs: this.#lastPassMs,
      passes: this.#passes,
      running: pass && pages ? { page: Math.min(pass.next, pages), pages } : undefined,
      rotten: this.#rotten.list(MAX_TOLD),
      rottenPages: this.#rotten.size,
      unexplained: this.#rotten.size + (this.#isStateRight ? 0 : 1) + (this.#isCut ? 1 : 0),
      direct: this.#direct,
    }
  }

  /** Begins with the passes in the background. */
  start(): void {
    const { bytesPerSecond, everyMs } = this.#options
    if (bytesPerSecond > 0) this.#schedule(Math.min(FIRST_MS, everyMs))
  }

  async stop(): Promise<void> {
    this.#end.abort()
    cancelTimer(this.#timer)
    cancelTimer(this.#retryTimer)
    await Promise.allSettled(this.#running)
  }

  /**
   * Runs a pass at once, at full speed, while those in the background wait. Joins the one under way
   * when there is one. Throws SCRUB_NOT_NOW or STOPPING.
   */
  now(): Promise<PassResult> {
    this.#demanded ??= this.#track(this.#demandedPass()).finally(() => {
      this.#demanded = undefined
    })
    return this.#demanded
  }

  /** To be called when a repair may have come to its end: looks at the rotten pages again. */
  recheck(): void {
    this.#recheckAgain = true
    if (this.#isRechecking || this.#rotten.size === 0) return
    this.#isRechecking = true
    void this.#track(this.#recheckAll())
      .catch((error) => this.#host.observer.onFailure(error))
      .finally(() => {
        this.#isRechecking = false
      })
  }

  #track<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running)
    const forget = () => this.#running.delete(running)
    running.then(forget, forget)
    return running
  }

  #schedule(inMs: number): void {
    if (this.#end.signal.aborted) return
    this.#timer = setTimer(
      () => void this.#track(this.#backgroundPass()),
      Math.max(MIN_PAUSE_MS, inMs),
    )
    this.#timer.unref()
  }

  async #backgroundPass(): Promise<void> {
    const { clock, everyMs } = this.#options
    const startMs = clock.nowMs()
    this.#dueMs = startMs
    const pass = new ScrubPass(
      this.#passHost((bytes) => this.#pace(bytes)),
      this.#end.signal,
    )
    this.#pass = pass
    try {
      await this.#pace(0)
      this.#finish(await pass.run())
    } catch (error) {
      this.#host.observer.onFailure(error)
    }
    this.#pass = undefined
    this.#schedule(this.#isCut ? CUT_MS : startMs + everyMs - clock.nowMs())
  }

  async #demandedPass(): Promise<PassResult> {
    const { clock } = this.#options
    const { signal } = this.#end
    const limitMs = clock.nowMs() + REST_LIMIT_MS
    while (!signal.aborted && !this.#host.pages()) {
      if (clock.nowMs() > limitMs)
        throw new WalcastError('SCRUB_NOT_NOW', { seconds: REST_LIMIT_MS / 1000 })
      await delay(REST_MS)
    }
    this.#demandedNow = new ScrubPass(
      this.#passHost(async () => {}),
      signal,
    )
    try {
      const result = await this.#demandedNow.run()
      if (signal.aborted) throw new WalcastError('STOPPING')
      this.#finish(result)
      return result
    } finally {
      this.#demandedNow = undefined
    }
  }

  #finish(result: PassResult): void {
    this.#direct = result.isDirect
    this.#isCut = !result.isWhole && !this.#end.signal.aborted
    if (this.#isCut) this.#host.repairAll()
    if (result.isWhole) {
      this.#passes++
      this.#lastPassMs = this.#options.clock.nowMs()
      const wasRight = this.#isStateRight
      this.#isStateRight = result.isStateRight
      if (wasRight && !result.isStateRight) this.#host.observer.onStateWrong()
    }
    if (!this.#end.signal.aborted) this.#host.observer.onPass(result)
  }

  #passHost(pace: (bytes: number) => Promise<void>): ScrubHost {
    return {
      pages: () => this.#host.pages(),
      look: () => this.#host.look(),
      pace,
      onChecked: (first, last, rotten) => {
        this.#host.observer.onChecked(last - first + 1)
        this.#onRight(first, last, rotten)
        this.#onRotten(rotten)
      },
    }
  }

  /** Keeps to the rate, and lets a pass on demand go first. */
  async #pace(bytes: number): Promise<void> {
    const { clock, bytesPerSecond } = this.#options
    const { signal } = this.#end
    await this.#demanded?.catch(() => {})
    this.#dueMs = Math.max(this.#dueMs, clock.nowMs()) + (1000 * bytes) / bytesPerSecond
    await delay(this.#dueMs - clock.nowMs(), { signal }).catch(() => {})
  }

  #onRight(first: number, last: number, rotten: readonly RottenPage[]): void {
    this.#tellRepaired(() => this.#rotten.settle(first, last, rotten))
  }

  #tellRepaired(settle: () => number[]): void {
    if (!this.#host.isTrusted()) return
    const right = settle()
    if (right.length > 0) this.#host.observer.onRepaired(right)
  }

  #onRotten(rotten: readonly RottenPage[]): void {
    if (rotten.length === 0) return
    const fresh = this.#rotten.add(rotten)
    if (fresh.length > 0) this.#host.observer.onRotten(fresh)
    this.#repair(rotten)
  }

  #repair(rotten: readonly RottenPage[]): void {
    if (!this.#host.canRepair || rotten.length === 0) return
    const isTaken = this.#host.repair(rotten)
    this.#rotten.asked(rotten, isTaken)
    if (isTaken || this.#end.signal.aborted) return
    cancelTimer(this.#retryTimer)
    this.#retryTimer = setTimer(() => this.recheck(), RETRY_MS)
    this.#retryTimer.unref()
  }

  async #recheckAll(): Promise<void> {
    const host = this.#passHost(async () => {})
    while (this.#recheckAgain) {
      this.#recheckAgain = false
      const pages = this.#rotten.list()
      const rotten = await new ScrubPass(host, this.#end.signal).recheck(pages)
      if (!rotten) return
      this.#tellRepaired(() => this.#rotten.settlePages(pages, rotten))
      // A page that is wrong after its repair waits for the next pass: a broken disk must not keep
      // the node at it.
      this.#repair(rotten.filter((each) => this.#rotten.isUnasked(each)))
    }
  }
}
