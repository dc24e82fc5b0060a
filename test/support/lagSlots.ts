/** Slots of a history of lag, made up. */
import type { LagSlot, SlotValue, SlotValues } from '../../src/health/lagRing/lagSlot.ts'
import { valuesFrom } from '../../src/health/lagRing/lagSlot.ts'
import type { MeasuredSlot } from '../../src/health/lagRing/slotMeasure.ts'

/** Each number is its place, unless given. */
export function valuesWith(given: Partial<Record<SlotValue, number>> = {}): SlotValues {
  return valuesFrom((name, i) => given[name] ?? i)
}

export function slotOf(
  fromMs: number,
  toMs: number,
  more: Partial<MeasuredSlot> = {},
): MeasuredSlot {
  return { fromMs, toMs, role: 'replica', causes: [], values: valuesWith(), ...more }
}

export function numbered(slot: MeasuredSlot, seq: number): LagSlot {
  return { ...slot, seq }
}
