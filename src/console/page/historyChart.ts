/**
 * A chart of the history of lag: the values of the point under the pointer stand above it as text.
 * With the keyboard: arrows go from point to point, + shows more of it, - and Escape lead back.
 */
import type { LagPoint } from '../../api/lagHistory.ts'
import { Chart, type Line, type PlotArea } from './chart.ts'
import { div, el, on, refill, span } from './dom.ts'
import { isoText } from './format.ts'
import { chartDataOf, pointAtTime, type ShownHistory } from './lagHistory.ts'
import { card } from './pieces.ts'

export interface HistoryLine extends Line {
  read(point: LagPoint): number | null
}

export interface HistoryChartOptions {
  readonly title: string
  readonly lines: readonly HistoryLine[]
  text(value: number): string
  /** What is told of a point besides the values of the lines. */
  more?(point: LagPoint): string
}

export interface ChartHost {
  shown(): ShownHistory | undefined
  nowMs(): number
  onZoom(fromMs: number, toMs: number): void
  onZoomIn(aboutMs: number | undefined): void
  onZoomBack(): void
  /** The time of the point that is looked at, s since 1970; undefined: of none. */
  onLook(seconds: number | undefined): void
}

const HEIGHT_PX = 150
const KEYS = 'arrows: point by point, plus: zoom in, minus: back'

export class HistoryChart {
  readonly element: HTMLElement
  readonly #options: HistoryChartOptions
  readonly #host: ChartHost
  readonly #chart: Chart
  readonly #values: HTMLElement
  readonly #said = el('div', { class: 'hidden-label', 'aria-live': 'polite' })
  #times: readonly number[] = []
  #looked: number | undefined
  /** New data moves the chart below a pointer that is still. */
  #isUpdating = false

  constructor(options: HistoryChartOptions, host: ChartHost) {
    this.#options = options
    this.#host = host
    const { title, lines, text } = options
    this.#values = div(`chart-values${lines.length > 1 ? ' of-many' : ''}`)
    this.#chart = new Chart({
      label: `${title}; ${KEYS}; the numbers are in the table below`,
      lines,
      heightPx: HEIGHT_PX,
      text,
      window: () => {
        const { fromMs, toMs } = host.shown()?.window ?? { fromMs: 0, toMs: 1 }
        return [fromMs, toMs]
      },
      marks: () => (host.shown()?.events ?? []).map(({ at }) => Date.parse(at)),
      onZoom: (fromMs, toMs) => host.onZoom(fromMs, toMs),
      onHover: (at) => {
        if (!this.#isUpdating) host.onLook(at === undefined ? undefined : this.#times[at])
      },
    })
    this.#chart.element.tabIndex = 0
    on(this.#chart.element, 'keydown', (event) => this.#onKey(event))
    this.element = card(title, this.#values, this.#chart.element, this.#said)
  }

  get area(): PlotArea | undefined {
    return this.#chart.area
  }

  update(shown: ShownHistory): void {
    const data = chartDataOf(
      shown,
      this.#options.lines.map(({ read }) => read),
    )
    // An earlier drawing may still be to come.
    const wasUpdating = this.#isUpdating
    this.#isUpdating = true
    if (this.#chart.update(data)) {
      this.#times = data[0]
      // The chart draws in a microtask, and tells of its cursor then.
      queueMicrotask(() => {
        this.#chart.pointAt(this.#looked)
        this.#isUpdating = false
      })
    } else this.#isUpdating = wasUpdating
    this.#tell()
  }

  /** Another chart is looked at, at that time. */
  look(seconds: number | undefined): void {
    this.#looked = seconds
    this.#chart.pointAt(seconds)
    this.#tell()
  }

  close(): void {
    this.#chart.close()
  }

  #onKey(event: KeyboardEvent): void {
    const { key } = event
    if (key === 'ArrowLeft' || key === 'ArrowRight') this.#step(key === 'ArrowLeft' ? -1 : 1)
    else if (key === '+' || key === '=')
      this.#host.onZoomIn(this.#looked === undefined ? undefined : this.#looked * 1000)
    else if (key === '-' || key === 'Escape') this.#host.onZoomBack()
    else return
    event.preventDefault()
  }

  #step(by: -1 | 1): void {
    const times = this.#times
    const at = times.indexOf(this.#looked ?? Number.NaN)
    const next = at < 0 ? times.length - 1 : Math.min(times.length - 1, Math.max(0, at + by))
    if (times[next] === undefined) return
    this.#host.onLook(times[next])
    this.#said.textContent = this.#values.textContent
  }

  #tell(): void {
    const { lines, text, more } = this.#options
    const shown = this.#host.shown()
    const looked = this.#looked
    const point =
      looked === undefined ? shown?.points.at(-1) : pointAtTime(shown?.points ?? [], looked)
    const when = point ? whenText(point, this.#host.nowMs()) : 'nothing was measured'
    const values = lines.map((line) => {
      const value = point ? line.read(point) : null
      return { label: line.label, text: value === null ? '–' : text(value) }
    })
    const rest = point && more ? more(point) : ''
    refill(this.#values, [when, values, rest], () => [
      span('when', when),
      ...values.map((each, i) => valueText(each, lines.length > 1 ? i : undefined)),
      rest !== '' && el('span', {}, rest),
    ])
  }
}

/** `line`: which of several it is of. */
function valueText(
  { label, text }: { readonly label: string; readonly text: string },
  line: number | undefined,
): HTMLElement {
  const sign = line !== undefined && el('i', { class: `line-${line}` })
  return span('value-of', sign, `${label} `, el('b', {}, text))
}

function whenText({ from, to }: LagPoint, nowMs: number): string {
  return `${isoText(from, nowMs)} to ${isoText(to, nowMs)}`
}
