/**
 * Charts as SVG markup, for the picture and the page. Colours come from classes that each of the
 * two gives its own: name, value, muted, reason, accent, other, grid, axis and stage1 to stage4.
 */

import { STAGE_NAMES } from '../result.ts'
import { escapeMarkup } from './escape.ts'
import { duration, figure, milliseconds, share, withRange } from './figures.ts'
import { decades, linear, type Scale } from './scale.ts'
import type { LagLine, Measured, Stages, WriterLine } from './summary.ts'

/** Markup whose top left is 0,0. */
export interface Drawing {
  readonly width: number
  readonly height: number
  readonly markup: string
}

/** The system that the report is about, drawn in a colour of its own. */
export const SUBJECT = 'walcast'

const NAME_WIDTH = 190
const VALUE_WIDTH = 160
const ROW_HEIGHT = 32
const AXIS_HEIGHT = 26
const MAX_NAME = 26
const MAX_REASON = 80

/** p50 and p99 of each system on one logarithmic axis. */
export function drawLag(lines: readonly LagLine[], width: number): Drawing {
  const values = lines.flatMap(({ p50, p99, fromBegin }) => [p50, p99, fromBegin].flatMap(extremes))
  const scale = decades(values)
  const x = placeOn(scale, width)
  const rows = lines.map((line, i) => {
    const y = rowMiddle(i)
    const { p50, p99, fromBegin } = line
    if (!p50 || !p99) return emptyRow(line, y)
    const color = colorOf(line.system)
    return [
      name(line.system, y),
      ...[p50, p99].map(({ range }) => band(range, x, y, color)),
      `<line class="${color} stem" x1="${x(p50.value)}" y1="${y}" x2="${x(p99.value)}" y2="${y}"/>`,
      fromBegin ? beginMark(x(fromBegin.value), y, color) : '',
      `<circle class="${color} dot" cx="${x(p50.value)}" cy="${y}" r="5"/>`,
      `<circle class="${color} ring" cx="${x(p99.value)}" cy="${y}" r="4.5"/>`,
      value(`${milliseconds(p50.value)} / ${milliseconds(p99.value)}`, width, y),
    ].join('')
  })
  return framed(scale, x, duration, rows, width)
}

/** Explains the marks of drawLag in one line. */
export function lagLegend(): Drawing {
  const dot = '<circle class="other dot" cx="5" cy="8" r="5"/>'
  const ring = '<circle class="other ring" cx="5" cy="8" r="4.5"/>'
  const items = [
    { mark: dot, text: 'p50', width: 54 },
    { mark: ring, text: 'p99', width: 54 },
    { mark: beginMark(5, 8, 'other'), text: 'p50 from BEGIN', width: 124 },
    {
      mark: '<rect class="other band" x="-3" y="3.5" width="16" height="9" rx="4.5"/>',
      text: 'range of the rounds',
      width: 140,
    },
  ]
  return legend(items)
}

/** The writer's rate with a replica, as a part of its rate alone. */
export function drawRatios(lines: readonly WriterLine[], width: number): Drawing {
  const scale = linear([1, ...lines.flatMap(({ ratio }) => extremes(ratio))])
  const x = placeOn(scale, width)
  const rows = lines.map((line, i) => {
    const y = rowMiddle(i)
    const { ratio } = line
    if (!ratio) return emptyRow(line, y)
    const color = colorOf(line.system)
    return [
      name(line.system, y),
      bar(x, ratio, y, 14, `${color} fill`),
      value(withRange(ratio, share), width, y),
    ].join('')
  })
  const one =
    `<line class="axis" x1="${x(1)}" y1="${AXIS_HEIGHT - 6}" x2="${x(1)}" ` +
    `y2="${rowMiddle(lines.length - 0.5)}"/>`
  return framed(scale, x, figure, [...rows, one], width, lines.length)
}

/** Commits a second of each system, alone and replicated. */
export function drawRates(lines: readonly WriterLine[], width: number): Drawing {
  const scale = linear(
    lines.flatMap(({ alone, replicated }) => [alone, replicated].flatMap(extremes)),
  )
  const x = placeOn(scale, width)
  const rows = lines.map((line, i) => {
    const y = rowMiddle(i)
    const { alone, replicated } = line
    if (!alone || !replicated) return emptyRow(line, y)
    const color = colorOf(line.system)
    return [
      name(line.system, y),
      bar(x, alone, y - 6, 9, `${color} pale`),
      bar(x, replicated, y + 6, 9, `${color} fill`),
      value(`${figure(alone.value)} / ${figure(replicated.value)}`, width, y),
    ].join('')
  })
  return framed(scale, x, figure, rows, width)
}

/** Where walcast's own lag goes, case by case. */
export function drawStages(cases: readonly Stages[], width: number): Drawing {
  const totals = cases.map(({ parts }) => parts.reduce((sum, part) => sum + part, 0))
  const scale = linear(totals)
  const x = placeOn(scale, width)
  const rows = cases.map(({ name: text, parts }, i) => {
    const y = rowMiddle(i)
    const pieces = parts.map((part, stage) => {
      const from = parts.slice(0, stage).reduce((sum, each) => sum + each, 0)
      const title = `<title>${STAGE_NAMES[stage]} ${milliseconds(part)} ms</title>`
      return (
        `<rect class="stage${stage + 1}" x="${x(from)}" y="${y - 8}" ` +
        `width="${rounded(x(from + part) - x(from))}" height="16">${title}</rect>`
      )
    })
    return (
      name(text, y, 'name') + pieces.join('') + value(`${milliseconds(totals[i])} ms`, width, y)
    )
  })
  return framed(scale, x, duration, rows, width)
}

export function stagesLegend(): Drawing {
  return legend(
    STAGE_NAMES.map((text, i) => ({
      mark: `<rect class="stage${i + 1}" x="0" y="3" width="10" height="10"/>`,
      text,
      width: 84,
    })),
  )
}

/** An SVG document within a page. `label` describes it for readers who cannot see it. */
export function svgElement(
  { width, height, markup }: Drawing,
  label: string,
  kind = 'chart',
): string {
  return (
    `<svg class="${kind}" viewBox="0 0 ${width} ${height}" width="${width}" ` +
    `height="${height}" role="img" aria-label="${escapeMarkup(label)}">${markup}</svg>`
  )
}

interface LegendItem {
  readonly mark: string
  readonly text: string
  /** To the next item. */
  readonly width: number
}

function legend(items: readonly LegendItem[]): Drawing {
  let width = 0
  const parts = items.map((item) => {
    const part =
      `<g transform="translate(${width + 4} 0)">${item.mark}<text class="muted" x="18" ` +
      `y="12">${item.text}</text></g>`
    width += item.width + 12
    return part
  })
  return { width, height: 16, markup: parts.join('') }
}

type Place = (value: number) => number

function placeOn(scale: Scale, width: number): Place {
  const plotWidth = width - NAME_WIDTH - VALUE_WIDTH
  return (value) => rounded(NAME_WIDTH + scale.place(value) * plotWidth)
}

function framed(
  scale: Scale,
  x: Place,
  mark: (value: number) => string,
  rows: readonly string[],
  width: number,
  rowCount = rows.length,
): Drawing {
  const height = AXIS_HEIGHT + rowCount * ROW_HEIGHT + 4
  const grid = scale.marks.map((each) => {
    const line =
      `<line class="grid" x1="${x(each)}" y1="${AXIS_HEIGHT - 6}" x2="${x(each)}" ` +
      `y2="${height - 4}"/>`
    return (
      `${line}<text class="mark" x="${x(each)}" y="12" ` +
      `text-anchor="middle">${mark(each)}</text>`
    )
  })
  return { width, height, markup: grid.join('') + rows.join('') }
}

const rowMiddle = (row: number) => AXIS_HEIGHT + row * ROW_HEIGHT + ROW_HEIGHT / 2

function name(text: string, y: number, kind = text === SUBJECT ? 'name subject' : 'name'): string {
  return (
    `<text class="${kind}" x="${NAME_WIDTH - 18}" y="${y + 4.5}" ` +
    `text-anchor="end">${escapeMarkup(shortened(text, MAX_NAME))}</text>`
  )
}

function value(text: string, width: number, y: number): string {
  return (
    `<text class="value" x="${width}" y="${y + 4.5}" ` +
    `text-anchor="end">${escapeMarkup(text)}</text>`
  )
}

function emptyRow(
  { system, skipped }: { readonly system: string; readonly skipped?: string },
  y: number,
) {
  const text = skipped === undefined ? 'no value' : `skipped: ${skipped}`
  const shown = escapeMarkup(shortened(text, MAX_REASON))
  return (
    `${name(system, y)}<text class="muted reason" x="${NAME_WIDTH}" ` +
    `y="${y + 4.5}">${shown}</text>`
  )
}

function bar(x: Place, measured: Measured, y: number, height: number, kind: string): string {
  const width = rounded(x(measured.value) - x(0))
  const rect =
    `<rect class="${kind}" x="${x(0)}" y="${y - height / 2}" width="${width}" ` +
    `height="${height}" rx="2"/>`
  return rect + whisker(measured.range, x, y)
}

function whisker(range: Measured['range'], x: Place, y: number): string {
  if (!range) return ''
  const [least, most] = range.map(x)
  return `<path class="whisker" d="M${least} ${y}H${most}M${least} ${y - 4}v8M${most} ${y - 4}v8"/>`
}

function band(range: Measured['range'], x: Place, y: number, color: string): string {
  if (!range) return ''
  const [least, most] = range.map(x)
  return (
    `<rect class="${color} band" x="${rounded(least - 5)}" y="${y - 6}" ` +
    `width="${rounded(most - least + 10)}" height="12" rx="6"/>`
  )
}

const beginMark = (x: number, y: number, color: string) =>
  `<path class="${color} begin" d="M${x} ${y - 8}v16"/>`

const colorOf = (system: string) => (system === SUBJECT ? 'accent' : 'other')

function extremes(measured: Measured | undefined): number[] {
  return measured ? [measured.value, ...(measured.range ?? [])] : []
}

function shortened(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}
