/** The charts of the screen of lag, and the table of the same numbers. */
import type { LagPercentiles, LagPoint } from '../../api/lagHistory.ts'
import type { LagReport } from '../../api/nodeStatus.ts'
import { el } from './dom.ts'
import { bytesText, countText, durationText, isoText, plural } from './format.ts'
import type { HistoryChartOptions, HistoryLine } from './historyChart.ts'
import { table } from './pieces.ts'

/** '' for all of them together. */
export type StageChoice = keyof LagReport['stages'] | ''

export const STAGE_TITLES: Readonly<Record<StageChoice, string>> = {
  '': 'commit to visible',
  noticed: 'the leader reads it',
  sent: 'it waits to be sent',
  received: 'it is on its way',
  applied: 'this node writes and shows it',
}

export function percentilesOf(point: LagPoint, stage: StageChoice): LagPercentiles | null {
  return stage === '' ? point.percentiles : (point.stages?.[stage] ?? null)
}

/** `stage`: the one that is chosen at that moment. */
export function lagChart(stage: () => StageChoice): HistoryChartOptions {
  const percentile = (name: keyof LagPercentiles) => (point: LagPoint) =>
    percentilesOf(point, stage())?.[name] ?? null
  return {
    title: 'Lag',
    text: durationText,
    lines: [
      { label: 'p50', colour: '--accent', read: percentile('p50Ms') },
      { label: 'p95', colour: '--good', dash: [6, 3], read: percentile('p95Ms') },
      { label: 'p99', colour: '--warn', dash: [2, 2], read: percentile('p99Ms') },
      { label: 'behind', colour: '--bad', read: ({ lagMs }) => lagMs },
    ],
    more: ({ role }) => (role === 'leader' ? 'replicas measure the percentiles' : ''),
  }
}

export const OTHER_CHARTS: readonly HistoryChartOptions[] = [
  {
    title: 'Transactions a second',
    lines: [line('tx/s', '--good', ({ transactionsPerSecond }) => transactionsPerSecond)],
    text: (rate) => `${rate < 10 ? Number(rate.toFixed(1)) : countText(rate)}/s`,
  },
  {
    title: 'Bytes a second',
    lines: [line('bytes/s', '--accent', ({ bytesPerSecond }) => bytesPerSecond)],
    text: (bytes) => `${bytesText(bytes)}/s`,
  },
  {
    title: 'WAL in use',
    lines: [line('WAL', '--warn', ({ walBytes }) => walBytes)],
    text: bytesText,
  },
  {
    title: 'Held writes',
    lines: [line('held', '--bad', ({ heldWrites }) => heldWrites)],
    text: countText,
    more: ({ mostHeld }) => `at most ${countText(mostHeld)} at once`,
  },
  {
    title: 'Checkpoint pauses',
    lines: [line('longest', '--accent', ({ longestPauseMs }) => longestPauseMs)],
    text: durationText,
    more: ({ pauses, pausedMs }) => `${plural(pauses, 'pause')}, ${durationText(pausedMs)} in all`,
  },
]

function line(label: string, colour: string, read: (point: LagPoint) => number): HistoryLine {
  return { label, colour, read }
}

const HEADS = [
  ...['Time', 'Role', 'Behind', 'p50', 'p95', 'p99', 'tx/s', 'Bytes/s', 'WAL'],
  ...['Held', 'Pauses', 'Longest', 'Causes'],
]

/** Newest first. */
export function historyTable(
  points: readonly LagPoint[],
  stage: StageChoice,
  nowMs: number,
): HTMLElement {
  const rows = [...points].reverse().map((point) => {
    const { from, role, lagMs, walBytes, heldWrites, pauses, longestPauseMs, causes } = point
    const { transactionsPerSecond: rate, bytesPerSecond } = point
    const percentiles = percentilesOf(point, stage)
    const told = percentiles && [percentiles.p50Ms, percentiles.p95Ms, percentiles.p99Ms]
    const cells = [
      role,
      durationText(lagMs),
      ...(told?.map(durationText) ?? ['–', '–', '–']),
      rate < 10 ? String(Number(rate.toFixed(1))) : countText(rate),
      bytesText(bytesPerSecond),
      bytesText(walBytes),
      countText(heldWrites),
      countText(pauses),
      durationText(longestPauseMs),
      causes.join(', '),
    ].map((text) => el('td', {}, text))
    const time = el('time', { datetime: from, title: from }, isoText(from, nowMs))
    return el('tr', {}, el('th', { scope: 'row' }, time), ...cells)
  })
  return table('Lag and more over time', HEADS, rows)
}
