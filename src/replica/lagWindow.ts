/** Percentiles of lags over the last minute. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Clock } from '../platform/clock.ts'

export interface Percentiles {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly count: number
}

const SLOT_MS = 10_000
const SLOTS = 6
export const WINDOW_SECONDS = (SLOT_MS * SLOTS) / 1000

/** Microseconds up to an hour, to two digits. */
function newHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 2 })
}

/**
 * Six histograms of ten seconds each; recording resets and reuses the oldest. Callers give
 * milliseconds; the histograms count microseconds.
 */
export class LagWindow {
  readonly #clock: Clock
  readonly #slots = Array.from({ length: SLOTS }, newHistogram)
  readonly #ends = new Array<number>(SLOTS).fill(0)
  #current = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#ends[0] = clock.nowMs() + SLOT_MS
  }

  record(lagMs: number): void {
    this.#turn()
    this.#slots[this.#current].record(Math.max(1, Math.round(lagMs * 1000)))
  }

  percentiles(): Percentiles {
    this.#turn()
    const all = newHistogram()
    const oldestMs = this.#clock.nowMs() - SLOT_MS * (SLOTS - 1)
    for (let i = 0; i < SLOTS; i++) if (this.#ends[i] > oldestMs) all.add(this.#slots[i])
    return percentilesOf(all)
  }

  #turn(): void {
    const nowMs = this.#clock.nowMs()
    if (nowMs < this.#ends[this.#current]) return
    this.#current = (this.#current + 1) % SLOTS
    this.#slots[this.#current].reset()
    this.#ends[this.#current] = nowMs + SLOT_MS
  }
}

function percentilesOf(histogram: RecordableHistogram): Percentiles {
  if (histogram.count === 0) return { p50Ms: 0, p95Ms: 0, p99Ms: 0, maxMs: 0, count: 0 }
  const at = (percentile: number) => histogram.percentile(percentile) / 1000
  return {
    p50Ms: at(50),
    p95Ms: at(95),
    p99Ms: at(99),
    maxMs: histogram.max / 1000,
    count: histogram.count,
  }
}
