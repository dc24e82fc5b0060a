/**
 * Slots as the points of an answer: as many as were asked for at most, each of one stretch of time.
 * Stretches begin at multiples of their length, so that the same question a minute later gives the
 * same points and a new one. Pure.
 */
import type { CauseCode } from '../../api/cause.ts'
import type { LagPoint, LagWindowAsked } from '../../api/lagHistory.ts'
import { type HeldSlot, numbersOf, SLOT_VALUES, VALUE_NAMES, valuesFrom } from './lagSlot.ts'
import type { MeasuredSlot } from './slotMeasure.ts'
import { roundMs, toldPercentiles } from './slotPercentiles.ts'

/** As it was measured, or as a ring holds it. */
export type PointSlot = MeasuredSlot | HeldSlot

const IS_SUM = VALUE_NAMES.map((name) => SLOT_VALUES[name] === 'sum')

/** How long one point is: a multiple of a slot, ms. */
export function stretchMs({ fromMs, toMs, points }: LagWindowAsked, slotMs: number): number {
  // A window that begins within a stretch touches one more, and its first slot may begin before it.
  const leastMs = (toMs - fromMs + slotMs) / (points - 1)
  return Math.max(1, Math.ceil(leastMs / slotMs)) * slotMs
}

/** `slots`: of the window, oldest first. */
export function lagPoints(slots: readonly PointSlot[], lengthMs: number): LagPoint[] {
  const points: LagPoint[] = []
  let stretch: PointSlot[] = []
  let last = Number.NaN
  for (const slot of slots) {
    // A slot ends a little after the moment at which it should.
    const number = Math.floor((slot.fromMs + slot.toMs) / 2 / lengthMs)
    if (number !== last && stretch.length > 0) {
      points.push(pointOf(stretch))
      stretch = []
    }
    stretch.push(slot)
    last = number
  }
  if (stretch.length > 0) points.push(pointOf(stretch))
  return points
}

/** `slots`: one at least, oldest first. */
export function pointOf(slots: readonly PointSlot[]): LagPoint {
  const { fromMs } = slots[0]
  const { role, toMs } = slots[slots.length - 1]
  let ms = 0
  const causes = new Set<CauseCode>()
  for (const slot of slots) {
    ms += slot.toMs - slot.fromMs
    for (const code of slot.causes) causes.add(code)
  }
  const numbers = merged(slots)
  const values = valuesFrom((_name, i) => numbers[i])
  return {
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    measuredSeconds: roundMs(ms / 1000),
    role,
    lagMs: roundMs(values.lagMs),
    ...toldPercentiles(values),
    transactionsPerSecond: roundMs((values.transactions * 1000) / ms),
    bytesPerSecond: roundMs((values.bytes * 1000) / ms),
    walBytes: values.walBytes,
    heldWrites: values.heldWrites,
    mostHeld: values.mostHeld,
    pauses: values.pauses,
    pausedMs: roundMs(values.pausedMs),
    longestPauseMs: roundMs(values.longestPauseMs),
    causes: [...causes],
  }
}

/** NaN where no slot has a number. A week has a quarter of a million, so no text is looked up. */
function merged(slots: readonly PointSlot[]): Float64Array {
  const all = new Float64Array(VALUE_NAMES.length).fill(Number.NaN)
  for (const slot of slots) {
    const numbers = 'numbers' in slot ? slot.numbers : numbersOf(slot.values)
    for (let i = 0; i < all.length; i++) {
      const so = all[i]
      const each = numbers[i]
      if (Number.isNaN(each)) continue
      if (Number.isNaN(so)) all[i] = each
      else all[i] = IS_SUM[i] ? so + each : Math.max(so, each)
    }
  }
  return all
}
