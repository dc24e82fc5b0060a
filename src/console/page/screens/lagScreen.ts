/** How far copies are behind: now, in the last minute by stage, and since the page was opened. */
import type { LagReport } from '../../../api/nodeStatus.ts'
import { Chart } from '../chart.ts'
import { el, refill } from '../dom.ts'
import { bytesText, countText, durationText } from '../format.ts'
import { lagSeries, rateSeries, walSeries } from '../lagSeries.ts'
import { card, figure, table } from '../pieces.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import { causeList } from './causeList.ts'

const CHART_PX = 160

export const lagScreen: Screen = {
  id: 'lag',
  title: 'Lag',
  icon: 'lag',
  isFor: () => true,
  mount: (root) => new LagScreen(root),
}

/** What a commit goes through, in this order. */
const STAGES: Readonly<Record<keyof LagReport['stages'], string>> = {
  noticed: 'the leader reads it',
  sent: 'it waits to be sent',
  received: 'it is on its way',
  applied: 'this node writes and shows it',
}

class LagScreen implements MountedScreen {
  readonly #figures = el('div', { class: 'figures' })
  readonly #causes = el('div', { class: 'causes' })
  readonly #stages = el('div')
  readonly #lag = chart('Lag since this page was opened', '--accent', durationText)
  readonly #rate = chart('Transactions a second', '--good', (rate) => `${countText(rate)}/s`)
  readonly #wal = chart('WAL in use', '--warn', bytesText)

  constructor(root: HTMLElement) {
    root.append(
      el('h1', {}, 'Lag'),
      this.#figures,
      this.#causes,
      card('Lag since this page was opened', this.#lag.element),
      card('The last minute, by stage', this.#stages),
      card('Transactions a second', this.#rate.element),
      card('WAL in use', this.#wal.element),
    )
  }

  update({ status, lag, lagPoints }: ConsoleState): void {
    if (!status || !lag) return
    const now = lagPoints.at(-1)?.lagMs ?? lag.lagMs
    const isLeader = status.role === 'leader'
    refill(this.#figures, [now, isLeader, lag], () => [
      figure(
        'Now',
        durationText(now),
        isLeader ? 'the slowest replica that is there' : behind(lag),
      ),
      ...(isLeader ? [] : percentiles(lag)),
    ])
    refill(this.#causes, status.causes, () => causeList(status.causes))
    refill(this.#stages, [isLeader, lag.stages], () => [stageTable(isLeader, lag)])
    this.#lag.update(lagSeries(lagPoints))
    this.#rate.update(rateSeries(lagPoints))
    this.#wal.update(walSeries(lagPoints))
  }

  unmount(): void {
    for (const each of [this.#lag, this.#rate, this.#wal]) each.close()
  }
}

function chart(label: string, colour: string, text: (value: number) => string): Chart {
  return new Chart({ label, lines: [{ label, colour }], heightPx: CHART_PX, text })
}

function behind({ txidLag, bytesLag }: LagReport): string {
  if (txidLag === 0) return 'level with the leader'
  return `${countText(txidLag)} transactions, ${bytesText(bytesLag)} to come`
}

function percentiles({ p50Ms, p95Ms, p99Ms, maxMs }: LagReport): HTMLElement[] {
  return [
    figure('Half are faster than', durationText(p50Ms), 'p50 of the last minute'),
    figure('19 of 20', durationText(p95Ms), 'p95'),
    figure('99 of 100', durationText(p99Ms), 'p99'),
    figure('Slowest', durationText(maxMs)),
  ]
}

function stageTable(isLeader: boolean, { stages }: LagReport): HTMLElement {
  if (isLeader)
    return el('p', { class: 'note' }, 'Replicas measure it: see the page of one of them.')
  const heads = ['Stage', 'p50', 'p95', 'p99', 'Slowest', 'Commits']
  const rows = Object.entries(STAGES).map(([stage, text]) => {
    const { p50Ms, p95Ms, p99Ms, maxMs, count } = stages[stage as keyof typeof stages]
    const cells = [p50Ms, p95Ms, p99Ms, maxMs].map((ms) => el('td', {}, durationText(ms)))
    return el('tr', {}, el('th', { scope: 'row' }, text), ...cells, el('td', {}, countText(count)))
  })
  return table('Lag by stage', heads, rows)
}
