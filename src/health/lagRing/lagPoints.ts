/**
 * Slots as the points of an answer: as many as were asked for at most, each of one stretch of time.
 * Stretches begin at multiples of their length, so that the same question a minute later gives the
 * same points and a new one. Pure.
 */
import type { CauseCode } from '../../api/cause.ts'
import type { LagPoint, LagWindowAsked } from '../../api/lagHistory.ts'
import { SLOT_VALUES, type SlotValue, valuesFrom } from './lagSlot.ts'
import type { MeasuredSlot } from './slotMeasure.ts'
import { roundMs, toldPercentiles } from './slotPercentiles.ts'

/** How long one point is: a multiple of a slot, ms. */
export function stretchMs({ fromMs, toMs, points }: LagWindowAsked, slotMs: number): number {
  // A window that begins within a stretch touches one more, and its first slot may begin before it.
  const leastMs = (toMs - fromMs + slotMs) / (points - 1)
  return Math.max(1, Math.ceil(leastMs / slotMs)) * slotMs
}

/** `slots`: of the window, oldest first. */
export function lagPoints(slots: readonly MeasuredSlot[], lengthMs: number): LagPoint[] {
  const stretches = new Map<number, MeasuredSlot[]>()
  for (const slot of slots) {
    // A slot ends a little after the moment at which it should.
    const number = Math.floor((slot.fromMs + slot.toMs) / 2 / lengthMs)
    const there = stretches.get(number)
    if (there) there.push(slot)
    else stretches.set(number, [slot])
  }
  return [...stretches.values()].map(pointOf)
}

/** `slots`: one at least, oldest first. */
export function pointOf(slots: readonly MeasuredSlot[]): LagPoint {
  const { fromMs } = slots[0]
  const { role, toMs } = slots[slots.length - 1]
  const ms = slots.reduce((sum, slot) => sum + (slot.toMs - slot.fromMs), 0)
  const values = valuesFrom((name) => merged(name, slots))
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
    causes: [...new Set(slots.flatMap(({ causes }): readonly CauseCode[] => causes))],
  }
}

/** NaN when no slot has it. */
function merged(name: SlotValue, slots: readonly MeasuredSlot[]): number {
  const known = slots.map(({ values }) => values[name]).filter((value) => !Number.isNaN(value))
  if (known.length === 0) return Number.NaN
  const isSum = SLOT_VALUES[name] === 'sum'
  return known.reduce((all, each) => (isSum ? all + each : Math.max(all, each)))
}
