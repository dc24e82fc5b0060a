/** A line over time, in the colours of the page. */
import uPlot from 'uplot'
import type { ChartData } from './chartData.ts'
import { el } from './dom.ts'

export interface Line {
  readonly label: string
  /** Name of a custom property with its colour. */
  readonly colour: string
}

export interface ChartOptions {
  /** What it shows, for whoever does not see it. */
  readonly label: string
  readonly lines: readonly Line[]
  readonly heightPx: number
  /** A value as its axis shows it. */
  text(value: number): string
}

/** A line that has just begun does not fill the chart. */
const LEAST_SECONDS = 60
const STEPS_SECONDS = [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400]

export class Chart {
  readonly element = el('div', { class: 'chart' })
  readonly #plot: uPlot
  readonly #observer: ResizeObserver

  constructor({ label, lines, heightPx, text }: ChartOptions) {
    this.element.setAttribute('role', 'img')
    this.element.setAttribute('aria-label', label)
    const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 } }
    this.#plot = new uPlot(
      {
        width: 300,
        height: heightPx,
        legend: { show: false },
        cursor: { drag: { x: true, y: false } },
        scales: {
          x: { range: (_plot, min, max) => [Math.min(min, max - LEAST_SECONDS), max] },
          y: { range: (_plot, _min, max) => [0, Math.max(max, 1) * 1.1] },
        },
        axes: [
          {
            ...axis,
            size: 30,
            space: 90,
            incrs: STEPS_SECONDS,
            ticks: { show: false },
            values: (_plot, values) => values.map(clockText),
          },
          {
            ...axis,
            size: 70,
            ticks: { show: false },
            values: (_plot, values) => values.map((value) => text(value)),
          },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.label,
            stroke: colour(line.colour),
            width: 1.5,
            points: { show: false },
          })),
        ],
      },
      [[], ...lines.map(() => [])],
      this.element,
    )
    this.#observer = new ResizeObserver(() => this.#fit(heightPx))
    this.#observer.observe(this.element)
  }

  update(data: ChartData): void {
    // It changes nothing of them.
    this.#plot.setData(data.map((each) => [...each]) as unknown as uPlot.AlignedData)
  }

  close(): void {
    this.#observer.disconnect()
    this.#plot.destroy()
  }

  #fit(height: number): void {
    const width = Math.floor(this.element.clientWidth)
    if (width > 0) this.#plot.setSize({ width, height })
  }
}

function clockText(seconds: number): string {
  const at = new Date(seconds * 1000)
  const parts = [at.getHours(), at.getMinutes(), at.getSeconds()]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

/** Read at each drawing: the theme may have changed. */
function colour(property: string): () => string {
  return () => getComputedStyle(document.documentElement).getPropertyValue(property)
}
