/**
 * Puts the looks of one stretch of time together to a slot. Pure.
 *
 * Time that passed unseen, because the process stood still or its clock was set, belongs to no
 * slot: the slot ends with the last look before it, and the next one begins after it.
 */
import type { CauseCode } from '../../api/cause.ts'
import type { NodeRole } from '../../api/roleAnswers.ts'
import type { LagSlot, SlotValues } from './lagSlot.ts'
import { NO_PERCENTILES, type SlotPercentiles } from './slotPercentiles.ts'

/** What a node is seen to be at one moment. */
export interface LagSample {
  readonly atMs: number
  readonly role: NodeRole
  readonly causes: readonly CauseCode[]
  /** 0 before the first copy. */
  readonly txid: number
  readonly lagMs: number
  readonly walBytes: number
  /** Requests that wait now. */
  readonly held: number
  /** Counted since the process began. */
  readonly heldTotal: number
  readonly bytesTotal: number
  readonly pausesTotal: number
  readonly pausedMsTotal: number
  /** The longest pause since the last look. */
  readonly longestPauseMs: number
}

export type MeasuredSlot = Omit<LagSlot, 'seq'>

/** Looks are a second apart. */
const MAX_STEP_MS = 5000

type Counted = Omit<SlotValues, keyof SlotPercentiles>

const NOTHING: Counted = {
  lagMs: 0,
  transactions: 0,
  bytes: 0,
  walBytes: 0,
  heldWrites: 0,
  mostHeld: 0,
  pauses: 0,
  pausedMs: 0,
  longestPauseMs: 0,
}

export class SlotMeasure {
  readonly #slotMs: number
  #first: LagSample | undefined
  #last: LagSample | undefined
  #values = NOTHING
  #causes = new Set<CauseCode>()

  constructor(slotMs: number) {
    this.#slotMs = slotMs
  }

  /** Gives the slot that ends with this look, or ended before it. */
  add(sample: LagSample, percentiles: () => SlotPercentiles): MeasuredSlot | undefined {
    const { first: begun, last } = { first: this.#first, last: this.#last }
    if (!begun || !last) return this.#begin(sample)
    const stepMs = sample.atMs - last.atMs
    if (stepMs <= 0 || stepMs > MAX_STEP_MS) {
      // Its percentiles are of a minute that has ended.
      const ended = this.running(() => NO_PERCENTILES)
      this.#begin(sample)
      return ended
    }
    this.#take(last, sample)
    if (this.#numberOf(sample) === this.#numberOf(begun)) return undefined
    const ended = this.running(percentiles)
    this.#begin(sample)
    return ended
  }

  /** The slot so far; undefined before it has any length. */
  running(percentiles: () => SlotPercentiles): MeasuredSlot | undefined {
    const { first: begun, last } = { first: this.#first, last: this.#last }
    if (!begun || !last || last.atMs <= begun.atMs) return undefined
    return {
      fromMs: begun.atMs,
      toMs: last.atMs,
      role: last.role,
      causes: [...this.#causes],
      values: { ...this.#values, ...percentiles() },
    }
  }

  #begin(sample: LagSample): undefined {
    this.#first = sample
    this.#last = sample
    this.#values = NOTHING
    this.#causes = new Set()
  }

  #take(last: LagSample, now: LagSample): void {
    const so = this.#values
    // A copy that has just come was not applied one transaction after another.
    const transactions = last.txid > 0 ? grown(last.txid, now.txid) : 0
    this.#values = {
      lagMs: Math.max(so.lagMs, now.lagMs),
      transactions: so.transactions + transactions,
      bytes: so.bytes + grown(last.bytesTotal, now.bytesTotal),
      walBytes: Math.max(so.walBytes, now.walBytes),
      heldWrites: so.heldWrites + grown(last.heldTotal, now.heldTotal),
      mostHeld: Math.max(so.mostHeld, now.held),
      pauses: so.pauses + grown(last.pausesTotal, now.pausesTotal),
      pausedMs: so.pausedMs + grown(last.pausedMsTotal, now.pausedMsTotal),
      longestPauseMs: Math.max(so.longestPauseMs, now.longestPauseMs),
    }
    for (const code of now.causes) this.#causes.add(code)
    this.#last = now
  }

  #numberOf({ atMs }: LagSample): number {
    return Math.floor(atMs / this.#slotMs)
  }
}

/** A count that went back has begun anew. */
function grown(before: number, now: number): number {
  return Math.max(0, now - before)
}
