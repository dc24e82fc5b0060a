/**
 * How often a costly test repeats itself with other random input: one of so many parts, a fifth
 * unless given, in `npm test`, all of it in `npm run campaigns`, which sets TEST_CAMPAIGN, and two
 * fifths with `--short`. Each time the input is new.
 */
import { randomInt } from 'node:crypto'

const CAMPAIGN = process.env['TEST_CAMPAIGN']
const IS_SHORT = CAMPAIGN === 'short'
/** With `--short`, one of so many. */
const PART = 3

export function propertyRuns(inCampaign: number, parts = 5): number {
  const part = IS_SHORT ? 2 / 5 : CAMPAIGN ? 1 : 1 / parts
  return Math.ceil(inCampaign * part)
}

/** Repetitions of a campaign, of `whole` without `--short`. */
export function campaignRuns(whole: number): number {
  return IS_SHORT ? Math.ceil(whole / PART) : whole
}

/** Steps of a campaign; with `--short` a third of them, each time another one. */
export function campaignSteps<T>(whole: readonly T[]): readonly T[] {
  if (!IS_SHORT) return whole
  const first = randomInt(Math.min(PART, whole.length))
  return whole.filter((_, i) => i % PART === first)
}
