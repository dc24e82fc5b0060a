/**
 * The picture of the README: lag and writer's rate of all systems, on a card that is readable on
 * light and dark pages.
 */
import type { KeptResult } from '../result.ts'
import { type Drawing, drawLag, drawRatios, lagLegend } from './drawing.ts'
import { escapeMarkup } from './escape.ts'
import { dayOf, figure } from './figures.ts'
import { type Summary, summarize } from './summary.ts'

const WIDTH = 880
const MARGIN = 32
const INNER_WIDTH = WIDTH - 2 * MARGIN
const NOTE_SPACE = 20
/** From the end of a chart to the next title. */
const GAP = 34

const SANS = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
const STYLE = `
text{font:13px ${SANS};fill:#1f2933;font-variant-numeric:tabular-nums}
.title{font-size:16px;font-weight:600}
.muted,.mark{fill:#667080;font-size:12px}
.reason{stroke:#fcfcfa;stroke-width:5px;paint-order:stroke}
.name{fill:#3b4652}
.subject{fill:#0f766e;font-weight:700}
.grid{stroke:#e4e4df;stroke-width:1}
.axis{stroke:#8a929c;stroke-width:1;stroke-dasharray:3 3}
.accent.dot,.accent.fill{fill:#0f766e}
.other.dot,.other.fill{fill:#7b8794}
.accent.stem,.accent.begin{stroke:#0f766e;stroke-width:2}
.other.stem,.other.begin{stroke:#7b8794;stroke-width:2}
.accent.ring{fill:#fcfcfa;stroke:#0f766e;stroke-width:2}
.other.ring{fill:#fcfcfa;stroke:#7b8794;stroke-width:2}
.accent.band{fill:#0f766e;opacity:.18}
.other.band{fill:#7b8794;opacity:.22}
.whisker{fill:none;stroke:#1f2933;stroke-width:1.25}
.card{fill:#fcfcfa;stroke:#d9d9d2}
`

interface Part {
  readonly title: string
  readonly note: string
  readonly legend?: Drawing
  readonly chart: Drawing
}

export function summarySvg(results: readonly KeptResult[]): string {
  const summary = summarize(results)
  const parts = partsOf(summary)
  let y = MARGIN
  const blocks = parts.map((part) => {
    const [markup, height] = block(part)
    const placed = `<g transform="translate(${MARGIN} ${y})">${markup}</g>`
    y += height + GAP
    return placed
  })
  const footer = parts.length > 0 ? origins(summary) : ['No results yet.']
  const lines = footer.map((text, i) => {
    return `<text class="muted" x="${MARGIN}" y="${y + 6 + i * 18}">${escapeMarkup(text)}</text>`
  })
  const height = y + footer.length * 18 + MARGIN - 18
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
      `width="${WIDTH}" height="${height}" role="img" ` +
      `aria-label="${escapeMarkup(label(parts))}">`,
    `<style>${STYLE}</style>`,
    `<rect class="card" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="10"/>`,
    ...blocks,
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}

function partsOf({ lag, writer }: Summary): Part[] {
  return [
    ...(lag
      ? [
          {
            title: `Lag at ${figure(lag.comparison.rate)} commits a second`,
            note:
              'from the return of COMMIT to a reader on the other side seeing the row; ' +
              'p50 / p99 in ms, logarithmic',
            legend: lagLegend(),
            chart: drawLag(lag.comparison.lines, INNER_WIDTH),
          },
        ]
      : []),
    ...(writer
      ? [
          {
            title: "The writer's rate at full speed, replicated / alone",
            note:
              '1 is a writer that does not notice; ' +
              'smallest and largest of the rounds in brackets',
            chart: drawRatios(writer.full.lines, INNER_WIDTH),
          },
        ]
      : []),
  ]
}

/** Markup and height of a part. */
function block({ title, note, legend, chart }: Part): [string, number] {
  const top = 16 + NOTE_SPACE + (legend ? 26 : 0) + 16
  const markup = [
    `<text class="title" y="14">${escapeMarkup(title)}</text>`,
    `<text class="muted" y="${14 + NOTE_SPACE}">${escapeMarkup(note)}</text>`,
    legend ? `<g transform="translate(0 ${14 + NOTE_SPACE + 13})">${legend.markup}</g>` : '',
    `<g transform="translate(0 ${top})">${chart.markup}</g>`,
  ].join('')
  return [markup, top + chart.height]
}

/** One line for each result that the picture shows: where and when it was taken. */
export function origins({ lag, writer }: Summary): string[] {
  const all = [lag?.result, writer?.result].flatMap((result) => result ?? [])
  const texts = all.map((result) => originOf(result))
  return texts.every((text) => text === texts[0])
    ? texts.slice(0, 1)
    : texts.map((text, i) => `${all[i].suite}: ${text}`)
}

function originOf({ machine, commit, at }: KeptResult): string {
  const { cpu, cores, mem, fileSystem, kernel, node } = machine
  return (
    `${cpu}, ${cores} cores, ${mem}, ${fileSystem}, Linux ${kernel}, Node ${node}; ` +
    `commit ${commit}, ${dayOf(at)}`
  )
}

function label(parts: readonly Part[]): string {
  return parts.map(({ title }) => title).join('; ') || 'No results yet'
}
