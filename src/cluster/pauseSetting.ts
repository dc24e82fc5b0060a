/**
 * The pause of role changes, as a setting of the trust record: all members come to know it, whoever
 * leads. It ends by itself at a time that each node reads on its own clock, so a forgotten one
 * never stands in the way for long.
 */
import { MAX_REASON_CHARS } from '../api/rolePause.ts'
import { plainText } from '../plainText.ts'
import { withSetting } from './trustChanges.ts'
import { MAX_TRUST_TIME_MS, type TrustRecord } from './trustRecord.ts'

export interface Pause {
  /** Ms since 1970, by the clock of the node that paused. */
  readonly sinceMs: number
  readonly untilMs: number
  readonly by: string
  /** '' when none was given. */
  readonly reason: string
}

const NAME = 'role-changes-paused'
/** When it ends, how many characters its `by` has, and that with the reason behind it. */
const VALUE = /^(\d{1,15}) (\d{1,3}) (.*)$/
const MAX_BY_CHARS = 128

/** `node`: id of this node. Throws TRUST_FULL. */
export function withPause(
  record: TrustRecord,
  node: string,
  { untilMs, by, reason }: Omit<Pause, 'sinceMs'>,
  nowMs: number,
): TrustRecord {
  const ends = Math.min(Math.floor(untilMs), MAX_TRUST_TIME_MS)
  const who = plainText(by, MAX_BY_CHARS)
  const value = `${ends} ${who.length} ${who}${plainText(reason, MAX_REASON_CHARS)}`
  return withSetting(record, { name: NAME, value, by: node }, nowMs)
}

/** The same record when this node has heard of no pause. Throws TRUST_FULL. */
export function withoutPause(record: TrustRecord, node: string, nowMs: number): TrustRecord {
  if (!record.settings.some(({ name }) => name === NAME)) return record
  return withSetting(record, { name: NAME, value: '', by: node }, nowMs)
}

/** The pause in force at that time. */
export function pauseIn(record: TrustRecord, nowMs: number): Pause | undefined {
  const setting = record.settings.find(({ name }) => name === NAME)
  const [, until, chars, words] = VALUE.exec(setting?.value ?? '') ?? []
  if (!setting || words === undefined || nowMs >= Number(until)) return undefined
  const by = words.slice(0, Number(chars))
  const reason = words.slice(by.length)
  return { sinceMs: setting.changedAt, untilMs: Number(until), by, reason }
}
