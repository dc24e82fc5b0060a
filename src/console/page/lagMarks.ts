/** What happened, as marks over the charts of lag: few enough to be told apart. Pure. */
import type { AuditEntry } from '../../api/audit.ts'
import type { CauseSpan } from '../../api/lagSpans.ts'
import { durationText, timeText } from './format.ts'
import type { Window } from './lagView.ts'

export interface Mark {
  readonly atMs: number
  /** Equal to `atMs` for what takes no time. */
  readonly toMs: number
  readonly text: string
  readonly kind: 'event' | 'failure' | 'cause'
}

/** Marks that lie too close together to be told apart are one. */
export interface MarkGroup {
  /** Parts of the window, from 0 to 1. */
  readonly from: number
  readonly to: number
  readonly kind: Mark['kind']
  readonly texts: readonly string[]
}

/** As many as are told of one group. */
const MAX_TEXTS = 6

export function eventMarks(events: readonly AuditEntry[], nowMs: number): Mark[] {
  return events.map(({ at, action, outcome, detail }) => {
    const atMs = Date.parse(at)
    const what = `${timeText(atMs, nowMs)} ${action} ${outcome}`
    const text = detail === undefined || detail === '' ? what : `${what}: ${detail}`
    return { atMs, toMs: atMs, text, kind: outcome === 'done' ? 'event' : 'failure' }
  })
}

export function causeMarks(causes: readonly CauseSpan[], nowMs: number): Mark[] {
  return causes.map(({ code, fromMs, toMs }) => ({
    atMs: fromMs,
    toMs,
    text: `${timeText(fromMs, nowMs)} cause ${code}, for ${durationText(toMs - fromMs)}`,
    kind: 'cause',
  }))
}

/** `least`: what two groups are apart at least, as a part of the window. */
export function grouped(marks: readonly Mark[], window: Window, least: number): MarkGroup[] {
  const length = window.toMs - window.fromMs
  const part = (ms: number) => Math.min(1, Math.max(0, (ms - window.fromMs) / length))
  const groups: { from: number; to: number; marks: Mark[] }[] = []
  for (const mark of [...marks].sort((a, b) => a.atMs - b.atMs)) {
    const [from, to] = [part(mark.atMs), part(mark.toMs)]
    const last = groups.at(-1)
    if (last && from - last.to < least) {
      last.marks.push(mark)
      last.to = Math.max(last.to, to)
    } else groups.push({ from, to, marks: [mark] })
  }
  return groups.map(({ from, to, marks: all }) => ({ from, to, ...told(all) }))
}

function told(marks: readonly Mark[]): Pick<MarkGroup, 'kind' | 'texts'> {
  const texts = marks.slice(0, MAX_TEXTS).map(({ text }) => text)
  const more = marks.length - texts.length
  const kind = marks.find((mark) => mark.kind === 'failure')?.kind ?? marks[0].kind
  return { kind, texts: more > 0 ? [...texts, `and ${more} more`] : texts }
}
