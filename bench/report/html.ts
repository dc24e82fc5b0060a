/** The report: one HTML file that works from disk, with everything in it and nothing fetched. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { KeptResult } from '../result.ts'
import { embeddableJson, escapeMarkup } from './escape.ts'
import { minuteOf } from './figures.ts'
import { PAGE_STYLE } from './pageStyle.ts'
import { goalTable, partSections } from './partSections.ts'
import { PLOT_SCRIPT } from './plotScript.ts'
import type { Results } from './readResults.ts'
import { byRateData, hasLines, lagSection, throughputSection } from './sections.ts'
import { skippedSystems, unique } from './summary.ts'
import { ratioTable, resultTable } from './tables.ts'

/** Nothing may be loaded, even if something in a result got past the escaping. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

/** `notes`: how each suite takes its numbers, by its name. */
export function reportHtml(
  { results, unreadable }: Results,
  notes: ReadonlyMap<string, string>,
): string {
  const plots = results
    .filter((result) => result.suite === 'lag' && hasLines(result))
    .map(byRateData)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>walcast benchmarks</title>
<style>${plots.length > 0 ? uplotFile('uPlot.min.css') : ''}${PAGE_STYLE}</style>
</head>
<body>
<main>
${header(results, unreadable)}
${results.map((result) => section(result, notes.get(result.suite))).join('\n')}
</main>
${plots.map(plotScripts).join('')}</body>
</html>
`
}

function header(results: readonly KeptResult[], unreadable: readonly string[]): string {
  const links = results.map(
    ({ suite }) => `<a href="#${escapeMarkup(suite)}">${escapeMarkup(suite)}</a>`,
  )
  const lost = unreadable.map((line) => `<li>${escapeMarkup(line)}</li>`)
  return `<header>
<h1>walcast benchmarks</h1>
<p>Medians of the rounds; smallest and largest beside them. Systems take turns within each round,
on one machine.</p>
${results.length > 0 ? `<nav>${links.join('')}</nav>${runs(results)}` : '<p>No results yet.</p>'}
${lost.length > 0 ? unread(lost) : ''}
</header>`
}

function unread(lost: readonly string[]): string {
  return `<div class="skipped">Files that could not be read<ul>${lost.join('')}</ul></div>`
}

/** When and where: what all suites share in one line, the rest by suite. */
function runs(results: readonly KeptResult[]): string {
  const machines = unique(results.map(machineText))
  const isOne = machines.length === 1
  const rows = results.map((result) => {
    const { suite, at, commit, machine } = result
    const busy = `${machine.busyBeforePercent} / ${machine.busyAfterPercent}`
    const cells = [suite, minuteOf(at), commit, ...(isOne ? [] : [machineText(result)])].map(
      (text) => `<td>${escapeMarkup(text)}</td>`,
    )
    return `<tr>${cells.join('')}<td class="number">${escapeMarkup(busy)}</td></tr>`
  })
  const names = ['suite', 'taken', 'commit', ...(isOne ? [] : ['machine'])]
  const head = names.map((name) => `<th scope="col">${name}</th>`).join('')
  const busyHead =
    '<th scope="col" class="number">busy before / after <small>% of a core</small></th>'
  return `${isOne ? `<p class="muted">${escapeMarkup(machines[0])}</p>` : ''}
<div class="scroll"><table><thead><tr>${head}${busyHead}</tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>`
}

function machineText({ machine }: KeptResult): string {
  const { cpu, cores, mem, kernel, node, fileSystem } = machine
  return `${cpu}, ${cores} cores, ${mem}, ${fileSystem}, Linux ${kernel}, Node ${node}`
}

function section(result: KeptResult, note: string | undefined): string {
  const { suite } = result
  return `<section id="${escapeMarkup(suite)}">
<h2>${escapeMarkup(suite)}</h2>
${note === undefined ? '' : `<p class="note">${escapeMarkup(note)}</p>`}
${bodyOf(result)}
${skippedBox(result)}
</section>`
}

function bodyOf(result: KeptResult): string {
  switch (result.suite) {
    case 'lag':
      return lagSection(result)
    case 'throughput':
      return throughputSection(result)
    case 'fanout':
      return goalTable(result) + plain(result)
    case 'large':
    case 'switchover':
    case 'failover':
    case 'restore':
      return goalTable(result) + partSections(result)
    default:
      return plain(result)
  }
}

function plain(result: KeptResult): string {
  const ratios = ratioTable(result)
  return resultTable(result) + (ratios ? `<h3>Ratios</h3>${ratios}` : '')
}

function skippedBox(result: KeptResult): string {
  const skipped = skippedSystems(result)
  if (skipped.length === 0) return ''
  const items = skipped.map(({ system, reason }) => {
    return `<li><b>${escapeMarkup(system)}</b>: ${escapeMarkup(reason)}</li>`
  })
  return `<div class="skipped">Skipped<ul>${items.join('')}</ul></div>`
}

function plotScripts(data: ReturnType<typeof byRateData>): string {
  return `<script type="application/json" id="lag-by-rate">${embeddableJson(data)}</script>
<script>${uplotFile('uPlot.iife.min.js')}</script>
<script>${PLOT_SCRIPT}</script>
`
}

function uplotFile(name: string): string {
  return readFileSync(createRequire(import.meta.url).resolve(`uplot/dist/${name}`), 'utf8').trim()
}
