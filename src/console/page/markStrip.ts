/**
 * A strip over charts with what happened: a sign for each event, a bar for each cause of lag. One
 * stop of the tab key, within which arrows go from mark to mark; the text of a mark is below while
 * it has the focus or the pointer.
 */
import type { PlotArea } from './chart.ts'
import { div, el, on, refill, svg } from './dom.ts'
import type { ShownHistory } from './lagHistory.ts'
import { causeMarks, eventMarks, grouped, type MarkGroup } from './lagMarks.ts'

const HEIGHT = 34
const LEAST_PX = 14
/** Of the middle of each row. */
const EVENT_Y = 10
const CAUSE_Y = 26
const NOTHING = 'Nothing happened in this time.'
const HINT = 'Point at a mark, or reach it with the tab key and the arrows, to read what happened.'

export class MarkStrip {
  readonly element: HTMLElement
  readonly #strip = div('marks')
  readonly #told = el('p', { class: 'note mark-text' })
  /** What the mark that the tab key reaches says. */
  #current = ''

  constructor() {
    on(this.#strip, 'keydown', (event) => this.#onKey(event))
    const tell = (event: Event) => this.#tell(event)
    on(this.#strip, 'pointerover', tell)
    on(this.#strip, 'focusin', tell)
    this.element = el('div', {}, this.#strip, this.#told)
  }

  update({ window, events, causes }: ShownHistory, { left, width }: PlotArea, nowMs: number): void {
    const least = LEAST_PX / width
    const happened = grouped(eventMarks(events, nowMs), window, least)
    const lasted = grouped(causeMarks(causes, nowMs), window, least)
    const x = (part: number) => Math.round(left + part * width)
    const all = [
      ...happened.map((group) => ({ group, x1: x(group.from), x2: x(group.to), y: EVENT_Y })),
      ...lasted.map((group) => ({ group, x1: x(group.from), x2: x(group.to), y: CAUSE_Y })),
    ]
    const hadFocus = this.#strip.contains(document.activeElement)
    refill(this.#strip, all, () => {
      this.#told.textContent = all.length === 0 ? NOTHING : HINT
      const there = all.findIndex(({ group }) => textOf(group) === this.#current)
      const reached = Math.max(0, there)
      const shapes = all.map(({ group, ...place }, i) => shape(group, place, i === reached))
      const size = { width: left + width + LEAST_PX, height: HEIGHT }
      return [svg('svg', { ...size, role: 'group', 'aria-label': 'What happened' }, ...shapes)]
    })
    const isLost = hadFocus && !this.#strip.contains(document.activeElement)
    if (isLost) this.#strip.querySelector<SVGElement>('g[tabindex="0"]')?.focus()
  }

  #onKey(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (by === undefined) return
    const marks = [...this.#strip.querySelectorAll<SVGElement>('g')]
    const next = marks[marks.findIndex((mark) => mark.matches(':focus')) + by]
    event.preventDefault()
    next?.focus()
  }

  #tell({ type, target }: Event): void {
    const mark = target instanceof Element ? target.closest('g') : null
    const text = mark?.getAttribute('aria-label')
    if (!mark || !text) return
    this.#told.textContent = text
    if (type !== 'focusin') return
    this.#current = text
    for (const each of this.#strip.querySelectorAll('g'))
      each.setAttribute('tabindex', each === mark ? '0' : '-1')
  }
}

interface Place {
  readonly x1: number
  readonly x2: number
  readonly y: number
}

function shape(group: MarkGroup, { x1, x2, y }: Place, isReached: boolean): SVGElement {
  const { kind } = group
  const about = {
    class: `mark ${kind}`,
    role: 'img',
    tabindex: isReached ? 0 : -1,
    'aria-label': textOf(group),
  }
  const width = Math.max(8, x2 - x1)
  const drawn =
    kind === 'cause'
      ? svg('rect', { x: x1, y: y - 4, width, height: 8, rx: 2 })
      : svg('path', { d: `M${x1} ${y - 6}l6 6l-6 6l-6 -6z` })
  // Large enough to be met by a finger.
  const reach = svg('rect', { x: x1 - 6, y: y - 8, width: width + 6, height: 16, class: 'reach' })
  return svg('g', about, reach, drawn)
}

function textOf({ texts }: MarkGroup): string {
  return texts.join(' · ')
}
