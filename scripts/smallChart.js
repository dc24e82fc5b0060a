/**
 * uPlot without what the page of the console never calls. The library hangs its tools onto itself:
 * other kinds of lines, helpers for tables, dates and numbers. A bundler has to keep what they
 * need. Here those lines are left out, so that it drops the rest as well. The style of its legend
 * goes too, since the page draws no legend.
 */
import { readFile } from 'node:fs/promises'

const TOOLS = { from: '\nuPlot.assign = assign;', to: '\nexport {' }
const LEGEND_RULES = /\.u-(?:legend|inline|series|title)\b[^{}]*\{[^}]*\}/g

export const smallChart = {
  name: 'small chart',
  setup({ onLoad }) {
    onLoad({ filter: /\/uPlot\.esm\.js$/ }, async ({ path }) => ({
      contents: withoutTools(await readFile(path, 'utf8')),
    }))
    onLoad({ filter: /\/uPlot\.min\.css$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replace(LEGEND_RULES, ''),
      loader: 'css',
    }))
  },
}

/** Throws when another version of the library is laid out differently. */
function withoutTools(source) {
  const [from, to] = [source.indexOf(TOOLS.from), source.indexOf(TOOLS.to)]
  if (from < 0 || to < from) throw new Error('uPlot is laid out in another way: see smallChart.js')
  return source.slice(0, from) + source.slice(to)
}
