/**
 * What clients saw while a leader changed: gaps and waits within windows of time. Pure, but for the
 * clock.
 */

/** Kind, begin and end in ms of the monotonic clock, HTTP status or 0, and the row's id. */
export type Asked = readonly [
  kind: 'write' | 'read',
  beginMs: number,
  endMs: number,
  status: number,
  id: number,
]

export interface Window {
  readonly fromMs: number
  readonly toMs: number
}

/** Of one machine, the same in all of its processes. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export function isDone([, , , status]: Asked): boolean {
  return status >= 200 && status < 300
}

/** Those of one kind that were done, in the order of their answers. */
export function answersOf(asked: readonly Asked[], kind: Asked[0]): Asked[] {
  return asked.filter((each) => each[0] === kind && isDone(each)).sort((a, b) => a[2] - b[2])
}

/**
 * The longest time without an answer that touches the window: from the last answer before it,
 * through the gaps in it, to the first after it. `answers` as `answersOf` gives them. Throws
 * RangeError when there is none before or none after.
 */
export function longestGapMs(answers: readonly Asked[], { fromMs, toMs }: Window): number {
  const first = answers.findLastIndex(([, , endMs]) => endMs <= fromMs)
  const last = answers.findIndex(([, , endMs]) => endMs >= toMs)
  if (first === -1 || last === -1)
    throw new RangeError('no answer before the window, or none after it')
  let longest = 0
  for (let i = first; i < last; i++) longest = Math.max(longest, answers[i + 1][2] - answers[i][2])
  return longest
}

/**
 * The longest time that a client waited for an answer, among waits that touch the window; 0 without
 * any.
 */
export function longestWaitMs(answers: readonly Asked[], { fromMs, toMs }: Window): number {
  const within = answers.filter(([, beginMs, endMs]) => endMs >= fromMs && beginMs <= toMs)
  return within.reduce((longest, [, beginMs, endMs]) => Math.max(longest, endMs - beginMs), 0)
}

/** The usual case: an equally long window shortly before. */
export function before({ fromMs, toMs }: Window, apartMs: number): Window {
  return { fromMs: fromMs - apartMs - (toMs - fromMs), toMs: fromMs - apartMs }
}
