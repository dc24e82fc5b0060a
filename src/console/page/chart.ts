/** A line over time, in the colours of the page. */
import uPlot from 'uplot'
import { el } from './dom.ts'

export interface Line {
  readonly label: string
  /** Name of a custom property with its colour. */
  readonly colour: string
}

/** Seconds since 1970, then the values of each line; null: none. */
export type ChartData = readonly [readonly number[], ...(readonly (number | null)[])[]]

export interface ChartOptions {
  readonly lines: readonly Line[]
  readonly heightPx: number
  /** A value as its axis shows it. */
  text(value: number): string
}

export class Chart {
  readonly element = el('div', { class: 'chart' })
  readonly #plot: uPlot
  readonly #observer: ResizeObserver

  constructor({ lines, heightPx, text }: ChartOptions) {
    const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 } }
    this.#plot = new uPlot(
      {
        width: 300,
        height: heightPx,
        legend: { show: false },
        cursor: { drag: { x: true, y: false } },
        scales: { y: { range: (_plot, _min, max) => [0, Math.max(max, 1) * 1.1] } },
        axes: [
          { ...axis, ticks: { show: false } },
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

/** Read at each drawing: the theme may have changed. */
function colour(property: string): () => string {
  return () => getComputedStyle(document.documentElement).getPropertyValue(property)
}
