/** Whether leaderships followed each other, as clients saw them. Pure. */
import { describe, type Exchange, epochOf, isWrite, outcomeOf } from './history.ts'

/**
 * Writes that were asked for after one of a later epoch had been answered, and done in an earlier
 * epoch all the same: two nodes let in writes at once.
 */
export function writesOfPastEpochs(record: readonly Exchange[]): string[] {
  const done = record.filter((each) => isWrite(each) && outcomeOf(each) === 'done')
  const ends = done.filter((each) => epochOf(each) >= 0).sort((a, b) => a.endMs - b.endMs)
  const starts = [...ends].sort((a, b) => a.startMs - b.startMs)
  const late: string[] = []
  let [next, latest] = [0, -1]
  for (const each of starts) {
    for (; next < ends.length && ends[next].endMs < each.startMs; next++)
      latest = Math.max(latest, epochOf(ends[next]))
    if (epochOf(each) < latest) late.push(`${describe(each)}, after one of epoch ${latest}`)
  }
  return late
}
