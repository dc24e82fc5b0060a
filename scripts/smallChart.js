/**
 * uPlot without what the page of the console never calls, which no bundler can see. The library
 * hangs its tools onto itself, such as other kinds of lines, and chooses by options among functions
 * for logarithmic scales, for bands between lines and for dates in words. The page asks for none of
 * them: its axes have texts of their own. Its legend is not drawn either.
 */
import { readFile } from 'node:fs/promises'

const TOOLS = { from: '\nuPlot.assign = assign;', to: '\nexport {' }
const NEVER_CALLED = [
  ...['rangeLog', 'rangeAsinh', 'logAxisSplits', 'asinhAxisSplits'],
  ...['log10AxisValsFilt', 'log2AxisValsFilt', 'clipBandLine'],
  ...['fmtDate', 'timeAxisVals'],
]
const LEGEND_RULES = /\.u-(?:legend|inline|series|title)\b[^{}]*\{[^}]*\}/g

export const smallChart = {
  name: 'small chart',
  setup({ onLoad }) {
    onLoad({ filter: /\/uPlot\.esm\.js$/ }, async ({ path }) => ({
      contents: NEVER_CALLED.reduce(withoutBody, withoutTools(await readFile(path, 'utf8'))),
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
  if (from < 0 || to < from) throw otherLayout()
  return source.slice(0, from) + source.slice(to)
}

/** The function does nothing, so that what it alone needs is dropped. Throws as above. */
function withoutBody(source, name) {
  const whole = new RegExp(`\nfunction ${name}\\([^]*?\n\\}\n`)
  if (!whole.test(source)) throw otherLayout()
  return source.replace(whole, `\nfunction ${name}() {}\n`)
}

function otherLayout() {
  return new Error('uPlot is laid out in another way: see scripts/smallChart.js')
}
