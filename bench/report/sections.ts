/** The sections of the two suites that compare systems. */
import type { KeptResult } from '../result.ts'
import {
  type Drawing,
  drawLag,
  drawRates,
  drawRatios,
  drawStages,
  lagLegend,
  SUBJECT,
  stagesLegend,
  svgElement,
} from './drawing.ts'
import { escapeMarkup } from './escape.ts'
import { figure, rateText } from './figures.ts'
import { LEAST_MS } from './scale.ts'
import { compareLag, lagByRate, stagesOf, unique, type WriterCase, writerCases } from './summary.ts'
import { columnsBeyond, ratioTable, resultTable } from './tables.ts'

const WIDTH = 980
const CASE = ['system', 'rate', 'pages', 'replicas', 'readers', 'pin', 'autocheckpoint']
const PERCENTILES = [...CASE, 'p50Ms', 'p90Ms', 'p99Ms', 'maxMs']
const RATES = [...CASE, 'aloneCommitsPerSecond', 'commitsPerSecond', 'ratio']
/** Colours of the style sheet for the lines of systems; the first is walcast's. */
const COLORS = 8

export function lagSection(result: KeptResult): string {
  const comparison = compareLag(result)
  const stages = stagesOf(result)
  const at = comparison ? `Lag at ${figure(comparison.rate)} commits a second` : ''
  return [
    comparison
      ? `<h3>${at}</h3>${caption('p50 / p99 in ms on a logarithmic axis')}` +
        figureOf(drawLag(comparison.lines, WIDTH), at, lagLegend())
      : '',
    hasLines(result) ? byRatePlots() : '',
    `<h3>Percentiles</h3>${caption('in ms, from the return of COMMIT')}` +
      resultTable(result, PERCENTILES),
    stages.length > 0
      ? "<h3>Where walcast's lag goes</h3>" +
        caption("p50 of each stage by the nodes' own clocks, added up") +
        figureOf(drawStages(stages, WIDTH), "Stages of walcast's lag", stagesLegend())
      : '',
    more(result, PERCENTILES),
  ].join('\n')
}

export function throughputSection(result: KeptResult): string {
  return [
    ...writerCases(result).map(writerFigures),
    `<h3>Rates</h3>${resultTable(result, RATES)}`,
    more(result, RATES),
  ].join('\n')
}

/** One rate makes no line. */
export function hasLines(result: KeptResult): boolean {
  return lagByRate(result).rates.length > 1
}

/** What the page's script draws. Colours go by system, so that both plots agree. */
export function byRateData(result: KeptResult) {
  const { rates, series } = lagByRate(result)
  const others = unique(series.map(({ system }) => system)).filter((system) => system !== SUBJECT)
  const color = (system: string) =>
    system === SUBJECT ? 1 : 2 + (others.indexOf(system) % (COLORS - 1))
  const plot = (id: 'p50' | 'p99') => ({
    id: `lag-${id}`,
    series: series.map((each) => ({
      system: each.system,
      color: color(each.system),
      isSubject: each.system === SUBJECT,
      valuesMs: each[id],
    })),
  })
  return { rates, leastMs: LEAST_MS, plots: [plot('p50'), plot('p99')] }
}

function byRatePlots(): string {
  const plot = (name: string) =>
    `<div class="plot"><h4>${name}</h4><div id="lag-${name}"></div></div>`
  const note = caption('both axes logarithmic; point at a rate to read its values')
  const both = `<div class="plots">${plot('p50')}${plot('p99')}</div>`
  return `<h3>Lag by commits a second</h3>${note}${both}`
}

function writerFigures(each: WriterCase): string {
  const title = `${rateText(each.rate)}, autocheckpoint ${each.autocheckpoint}`
  return [
    `<h3>${escapeMarkup(title)}</h3>`,
    caption('commits a second: alone (pale) / replicated'),
    figureOf(drawRates(each.lines, WIDTH), `Commits a second, ${title}`),
    caption('replicated / alone, round by round'),
    figureOf(drawRatios(each.lines, WIDTH), `Replicated / alone, ${title}`),
  ].join('\n')
}

/**
 * Columns that the first table leaves out, and the comparisons within the run: there for those who
 * look for them.
 */
function more(result: KeptResult, shown: readonly string[]): string {
  const rest = columnsBeyond(result, shown)
  const ratios = ratioTable(result)
  const table = rest.length > 0 ? resultTable(result, [...CASE, ...rest]) : ''
  return [
    table ? `<details><summary>More columns</summary>${table}</details>` : '',
    ratios ? `<details><summary>Ratios within the run</summary>${ratios}</details>` : '',
  ].join('')
}

const caption = (text: string) => `<p class="muted">${escapeMarkup(text)}</p>`

function figureOf(drawing: Drawing, label: string, key?: Drawing): string {
  const keySvg = key ? svgElement(key, `Key of: ${label}`, 'key') : ''
  return `<div class="figure">${keySvg}${svgElement(drawing, label)}</div>`
}
