/** Lengths of time as people type them: a number with a unit. */

const DAY_MS = 86_400_000
const UNITS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: DAY_MS,
  w: 7 * DAY_MS,
  y: 365 * DAY_MS,
}

/** Milliseconds of `12h`, `90d` and the like; undefined for anything else. */
export function parseLifetime(text: string): number | undefined {
  const match = /^(\d{1,5})([mhdwy])$/.exec(text)
  return match ? Number(match[1]) * UNITS[match[2]] : undefined
}
