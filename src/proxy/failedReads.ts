/**
 * Reads that the application of a replica failed. A GET that begins a session or counts a visit
 * writes, and on a replica no write succeeds. The leader's application may answer such reads
 * instead (`--replay-on`). Only so many a second go there, so that a broken application does not
 * send it all its reads. A bounded table keeps which paths gain by it, for the status. Reads that
 * an operator keeps here (`--local`), and requests that a node has passed on, never go to the
 * leader.
 */
import type { IncomingMessage } from 'node:http'
import type { Logger } from 'pino'
import {
  FAILED_READ_OUTCOMES,
  type FailedReadOutcome,
  type FailedReadsReport,
  type PathCount,
} from '../api/failedReads.ts'
import type { Client } from './client.ts'
import { headerOf, VIA_HEADER } from './headers.ts'
import { RateBudget } from './rateBudget.ts'
import type { Answer } from './relayedAnswer.ts'
import type { Routes } from './routes.ts'

export interface FailedReadsOptions {
  /** Statuses of the local application that make a read a failed one. */
  readonly statuses: readonly number[]
  /** Reads a second that go to the leader at most. */
  readonly maxPerSecond: number
}

export interface FailedReadsHost {
  readonly routes: Pick<Routes, 'staysHere'>
  readonly log: Pick<Logger, 'warn'>
  onFailedRead(outcome: FailedReadOutcome): void
  /** Monotonic. */
  nowMs(): number
}

/** Paths that a report lists. */
const TOLD_PATHS = 5
/** Paths that are counted at a time. */
const COUNTED_PATHS = 64
/** Characters of a path that are kept. */
const MAX_PATH_CHARS = 200
/** Between two log lines that say that reads are over the rate. */
const LOG_EVERY_MS = 60_000

export class FailedReads {
  readonly #host: FailedReadsHost
  readonly #statuses: ReadonlySet<number>
  readonly #maxPerSecond: number
  readonly #rate: RateBudget
  readonly #paths = new FrequentPaths(COUNTED_PATHS)
  readonly #counts: Record<FailedReadOutcome, number> = {
    answered: 0,
    failed: 0,
    away: 0,
    limited: 0,
    large: 0,
  }
  #limitedLogMs = Number.NEGATIVE_INFINITY

  constructor({ statuses, maxPerSecond }: FailedReadsOptions, host: FailedReadsHost) {
    this.#host = host
    this.#statuses = new Set(statuses)
    this.#maxPerSecond = maxPerSecond
    this.#rate = new RateBudget(maxPerSecond, () => host.nowMs())
  }

  /** Whether the leader may answer instead. Cheap: asked of each answer. */
  concerns(client: Client, answer: Answer): boolean {
    if (!this.#statuses.has(answer.status)) return false
    const { method, request, target } = client
    if (method !== 'GET' && method !== 'HEAD') return false
    return !answer.isEventStream && !wasPassedOn(request) && !this.#host.routes.staysHere(target)
  }

  /** Takes one of the reads that may go to the leader; false when there are none left for now. */
  take(): boolean {
    return this.#rate.take()
  }

  /** The leader answered with `status`. */
  onAnswered(target: string, status: number): void {
    const outcome = this.#statuses.has(status) ? 'failed' : 'answered'
    const isFirst = this.#counts.answered === 0
    this.onOutcome(outcome)
    if (outcome === 'failed') return
    const path = target.split(/[?#]/, 1)[0].slice(0, MAX_PATH_CHARS)
    this.#paths.add(path)
    if (isFirst)
      this.#host.log.warn(
        { path },
        "the leader's application answered a read that failed here; status lists such paths " +
          '(failedReads), --forward sends them to the leader at once',
      )
  }

  onOutcome(outcome: FailedReadOutcome): void {
    this.#counts[outcome]++
    this.#host.onFailedRead(outcome)
    if (outcome === 'limited') this.#sayLimited()
  }

  /** Undefined before the first. */
  report(): FailedReadsReport | undefined {
    if (FAILED_READ_OUTCOMES.every((outcome) => this.#counts[outcome] === 0)) return undefined
    return { ...this.#counts, paths: this.#paths.top(TOLD_PATHS) }
  }

  #sayLimited(): void {
    const nowMs = this.#host.nowMs()
    if (nowMs - this.#limitedLogMs < LOG_EVERY_MS) return
    this.#limitedLogMs = nowMs
    this.#host.log.warn(
      { maxPerSecond: this.#maxPerSecond, limited: this.#counts.limited },
      'more reads fail here than --replay-rate lets go to the leader; clients get the local answer',
    )
  }
}

/** A client may claim so, too: its own request is then answered here. */
function wasPassedOn(request: IncomingMessage): boolean {
  return headerOf(request, VIA_HEADER) !== undefined
}

interface Counted {
  count: number
  /** How many of `count` may belong to paths which this row counted before. */
  foreign: number
}

/**
 * Counts the most frequent paths among any number, in a table of `size` rows: a new path takes the
 * row of the least frequent one (Metwally, Agrawal and El Abbadi, "Efficient computation of
 * frequent and top-k elements in data streams", 2005).
 */
export class FrequentPaths {
  readonly #size: number
  readonly #rows = new Map<string, Counted>()

  constructor(size: number) {
    this.#size = size
  }

  get size(): number {
    return this.#rows.size
  }

  add(path: string): void {
    const row = this.#rows.get(path)
    if (row) row.count++
    else
      this.#rows.set(
        path,
        this.#rows.size < this.#size ? { count: 1, foreign: 0 } : this.#replaceLeast(),
      )
  }

  /** The most frequent paths, each with how often it came at least. */
  top(limit: number): PathCount[] {
    return [...this.#rows]
      .map(([path, { count, foreign }]) => ({ path, count: count - foreign }))
      .sort((a, b) => b.count - a.count)
      .slice(0, limit)
  }

  #replaceLeast(): Counted {
    let least: [string, Counted] | undefined
    for (const row of this.#rows) if (!least || row[1].count < least[1].count) least = row
    const foreign = least?.[1].count ?? 0
    if (least) this.#rows.delete(least[0])
    return { count: foreign + 1, foreign }
  }
}
