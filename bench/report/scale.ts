/** Where values lie on an axis. */

export interface Scale {
  /** From 0 to 1; what lies outside is put at the nearer end. */
  readonly place: (value: number) => number
  readonly marks: readonly number[]
}

/** A smaller lag than this is smaller than what the readers can tell. */
export const LEAST_MS = 0.01

/** Whole decades around the values, for times in ms. Zeros lie at the lower end. */
export function decades(valuesMs: readonly number[]): Scale {
  const positive = valuesMs.filter((value) => value > 0).map((value) => Math.max(value, LEAST_MS))
  const from = Math.floor(Math.log10(Math.min(1, ...positive)) + 1e-9)
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(1, ...positive)) - 1e-9))
  const marks = Array.from({ length: to - from + 1 }, (_, i) => Number(`1e${from + i}`))
  const place = (value: number) =>
    value > 0 ? within((Math.log10(value) - from) / (to - from)) : 0
  return { place, marks }
}

/** From 0 to a little more than the largest, with round marks. */
export function linear(values: readonly number[]): Scale {
  const most = Math.max(0, ...values) || 1
  const step = roundStep(most / 4)
  const end = most * 1.02
  const marks = Array.from({ length: Math.floor(end / step) + 1 }, (_, i) =>
    Number((i * step).toPrecision(6)),
  )
  return { place: (value) => within(value / end), marks }
}

/** The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return ([1, 2, 2.5, 5].find((factor) => factor * power >= least * 0.999) ?? 10) * power
}

function within(place: number): number {
  return Math.min(1, Math.max(0, place))
}
