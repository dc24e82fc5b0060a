/** Lines over time, in the colours of the page. */
import uPlot from 'uplot'
import { nowMs } from './browser.ts'
import { type ChartData, lookOf } from './chartData.ts'
import { div } from './dom.ts'
import { axisTimeText } from './format.ts'

export interface Line {
  readonly label: string
  /** Name of a custom property with its colour. */
  readonly colour: string
  /** Lengths of its dashes, px; a line without breaks unless given. */
  readonly dash?: readonly number[]
}

export interface ChartOptions {
  /** What it shows, for whoever does not see it. */
  readonly label: string
  readonly lines: readonly Line[]
  readonly heightPx: number
  /** A value as its axis shows it. */
  text(value: number): string
  /** What it shows in all, ms since 1970; all of the data unless given. */
  window?(): readonly [number, number]
  /** Moments at which it draws a line from top to bottom, ms since 1970. */
  marks?(): readonly number[]
  /** A pointer chose a part of it, ms since 1970. */
  onZoom?(fromMs: number, toMs: number): void
  /** A pointer is over the point of that number; undefined: it has left. */
  onHover?(at: number | undefined): void
}

/** Where the lines are within the chart, px. */
export interface PlotArea {
  readonly left: number
  readonly width: number
}

/** A line that has just begun does not fill the chart. */
const LEAST_SECONDS = 60
const STEPS_SECONDS = [
  ...[5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200],
  ...[86_400, 2 * 86_400, 7 * 86_400],
]
/** A shorter drag is a click. */
const LEAST_DRAG_PX = 8

export class Chart {
  readonly element = div('chart')
  readonly #plot: uPlot
  readonly #observer: ResizeObserver
  readonly #options: ChartOptions
  #look = ''

  constructor(options: ChartOptions) {
    this.#options = options
    const { label, lines, heightPx, text, window } = options
    this.element.setAttribute('role', 'img')
    this.element.setAttribute('aria-label', label)
    const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 } }
    this.#plot = new uPlot(
      {
        width: 300,
        height: heightPx,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: options.onZoom === undefined } },
        hooks: hooksOf(options),
        scales: {
          x: {
            range: (_plot, min, max) => {
              // There is neither while nothing was measured.
              const end = max ?? nowMs() / 1000
              if (!window) return [Math.min(min ?? end, end - LEAST_SECONDS), end]
              const [fromMs, toMs] = window()
              return [fromMs / 1000, toMs / 1000]
            },
          },
          y: { range: (_plot, _min, max) => [0, Math.max(max, 1) * 1.1] },
        },
        axes: [
          {
            ...axis,
            size: 30,
            space: 90,
            incrs: STEPS_SECONDS,
            ticks: { show: false },
            values: (_plot, values, _axis, _space, step) =>
              values.map((seconds) => axisTimeText(seconds * 1000, step)),
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
            ...(line.dash ? { dash: [...line.dash] } : {}),
            points: { show: true, size: 4, filter: lonelyPoints },
          })),
        ],
      },
      [[], ...lines.map(() => [])],
      this.element,
    )
    this.#observer = new ResizeObserver(() => this.#fit(heightPx))
    this.#observer.observe(this.element)
  }

  /** Draws what has changed. Whether anything has, so that it shows these data now. */
  update(data: ChartData): boolean {
    const { lines, window, marks } = this.#options
    const names = ['--muted', '--line', ...lines.map((line) => line.colour)]
    const colours = names.map((name) => colour(name)())
    const look = [...colours, lookOf(data, window?.(), marks?.() ?? [])].join(' ')
    if (look === this.#look) return false
    this.#look = look
    // It changes nothing of them.
    this.#plot.setData(data.map((each) => [...each]) as unknown as uPlot.AlignedData)
    return true
  }

  /** Undefined before it has a size. */
  get area(): PlotArea | undefined {
    const { left, width } = this.#plot.bbox
    const scale = devicePixelRatio
    return width > 0 ? { left: left / scale, width: width / scale } : undefined
  }

  /** Puts its cursor on a point; undefined: nowhere. Tells nobody. */
  pointAt(seconds: number | undefined): void {
    const left = seconds === undefined ? -1 : this.#plot.valToPos(seconds, 'x')
    this.#plot.setCursor({ left, top: left < 0 ? -1 : 1 }, false)
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

function hooksOf({ marks, onZoom, onHover }: ChartOptions): uPlot.Hooks.Arrays {
  return {
    draw: marks ? [(plot) => drawMarks(plot, marks())] : [],
    setCursor: onHover ? [({ cursor }) => onHover(cursor.idx ?? undefined)] : [],
    setSelect: onZoom
      ? [
          (plot) => {
            const { left, width } = plot.select
            if (width < LEAST_DRAG_PX) return
            const [from, to] = [left, left + width].map((px) => plot.posToVal(px, 'x') * 1000)
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            onZoom(from, to)
          },
        ]
      : [],
  }
}

/** A point between two holes is part of no line. */
function lonelyPoints({ data }: uPlot, line: number): number[] {
  const values = data[line] ?? []
  const isThere = (at: number) => typeof values[at] === 'number'
  const lonely: number[] = []
  for (let at = 0; at < values.length; at++)
    if (isThere(at) && !isThere(at - 1) && !isThere(at + 1)) lonely.push(at)
  return lonely
}

function drawMarks({ ctx, bbox, valToPos }: uPlot, marks: readonly number[]): void {
  ctx.save()
  ctx.strokeStyle = colour('--muted')()
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
  for (const ms of marks) {
    const x = Math.round(valToPos(ms / 1000, 'x', true))
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
  }
  ctx.restore()
}

/** Read at each drawing: the theme may have changed. */
function colour(property: string): () => string {
  return () => getComputedStyle(document.documentElement).getPropertyValue(property)
}
