/** Durations as Go writes them: `24h0m0s`, `1.5s`, `300ms` (https://pkg.go.dev/time). */

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}
const WHOLE = /^(?:\d{1,15}(?:\.\d{1,15})?(?:ns|us|ms|s|m|h))+$/
const PIECE = /([\d.]+)(ns|us|ms|s|m|h)/g

/** Milliseconds; undefined for any other text. */
export function goDurationMs(text: string): number | undefined {
  if (text.length > 64 || !WHOLE.test(text)) return undefined
  let ms = 0
  for (const [, amount, unit] of text.matchAll(PIECE)) ms += Number(amount) * UNITS_MS[unit]
  return ms
}
