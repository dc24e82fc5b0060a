/**
 * The script in the page. It draws the lines of #lag-by-rate with uPlot, both axes logarithmic, and
 * again when the width or the colour scheme changes. It is plain JavaScript, since nothing compiles
 * it; without it the page lacks only these two plots.
 */
export const PLOT_SCRIPT = `
'use strict'
const { rates, plots, leastMs } = JSON.parse(document.getElementById('lag-by-rate').textContent)
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const digits = (value) => +value.toPrecision(3)
const shorten = (ms) => (ms >= 1000 ? digits(ms / 1000) + ' s' : digits(ms) + ' ms')
const perSecond = (rate) => rate.toLocaleString('en') + '/s'
const all = plots
  .flatMap(({ series }) => series.flatMap(({ valuesMs }) => valuesMs))
  .filter((ms) => ms !== null)
const lowest = 10 ** Math.floor(Math.log10(Math.max(leastMs, Math.min(...all))))
const highest = 10 ** Math.ceil(Math.log10(Math.max(lowest * 10, ...all)))
const decades = []
for (let ms = lowest; ms < highest * 1.01; ms *= 10) decades.push(+ms.toPrecision(1))
let drawn = []

function draw() {
  for (const plot of drawn) plot.destroy()
  drawn = plots.map(({ id, series }) => {
    const place = document.getElementById(id)
    const font = '12px system-ui, sans-serif'
    const axis = { stroke: css('--muted'), font, ticks: { show: false } }
    const grid = { stroke: css('--line'), width: 1 }
    const options = {
      width: place.clientWidth,
      height: 300,
      cursor: { sync: { key: 'lag' }, drag: { x: false, y: false }, points: { size: 8 } },
      scales: {
        x: { time: false, distr: 3, range: [rates[0] / 1.3, rates.at(-1) * 1.3] },
        y: { distr: 3, range: [lowest, highest] },
      },
      axes: [
        {
          ...axis,
          size: 32,
          grid: { show: false },
          splits: () => rates,
          filter: (_, splits) => splits,
          values: (_, splits) => splits.map(perSecond),
        },
        {
          ...axis,
          grid,
          size: 64,
          splits: () => decades,
          filter: (_, splits) => splits,
          values: (_, splits) => splits.map(shorten),
        },
      ],
      series: [
        { label: 'commits', value: (_, rate) => (rate === null ? '–' : perSecond(rate)) },
        ...series.map(({ system, color, isSubject, valuesMs }) => ({
          label: system,
          stroke: css('--series' + color),
          width: isSubject ? 3 : 1.5,
          points: { show: true, size: isSubject ? 8 : 6, fill: css('--series' + color) },
          spanGaps: false,
          value: (_, ms, __, index) =>
            index === null || valuesMs[index] === null ? '–' : shorten(valuesMs[index]),
        })),
      ],
    }
    const clamp = (ms) => (ms === null ? null : Math.max(ms, lowest))
    const clamped = series.map(({ valuesMs }) => valuesMs.map(clamp))
    return new uPlot(options, [rates, ...clamped], place)
  })
}

draw()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
let width = innerWidth
addEventListener('resize', () => {
  if (innerWidth !== width) draw()
  width = innerWidth
})
`
