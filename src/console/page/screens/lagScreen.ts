/**
 * How far copies are behind: now, and in the last hour, day or week, with what happened meanwhile.
 * The hour goes on by itself; a part of any of them can be looked at closer.
 */
import type { LagHistoryAnswer } from '../../../api/lagHistory.ts'
import type { LagReport } from '../../../api/nodeStatus.ts'
import { commandText, shellWord } from '../commandText.ts'
import { div, el, on, option, refill, setAttributes } from '../dom.ts'
import { bytesText, countText, durationText } from '../format.ts'
import { HistoryChart } from '../historyChart.ts'
import {
  historyTable,
  lagChart,
  OTHER_CHARTS,
  STAGE_TITLES,
  type StageChoice,
} from '../lagCharts.ts'
import { type ShownHistory, shownHistory } from '../lagHistory.ts'
import { LagHistoryFeed } from '../lagHistoryFeed.ts'
import {
  type LagView,
  moved,
  SPANS,
  type Span,
  sinceFlags,
  windowOf,
  zoomedBack,
  zoomedIn,
  zoomedTo,
} from '../lagView.ts'
import { MarkStrip } from '../markStrip.ts'
import { button, card, figure, labelled } from '../pieces.ts'
import { refusalNotice } from '../refusalNotice.ts'
import { ask, asRefusal } from '../requests.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import type { Store } from '../store.ts'
import { causeList } from './causeList.ts'

export const lagScreen: Screen = {
  id: 'lag',
  title: 'Lag',
  icon: 'lag',
  mount: (root, store) => new LagScreen(root, store),
}

const STAGES = Object.keys(STAGE_TITLES) as readonly StageChoice[]
const OF_SPANS = Object.keys(SPANS) as readonly Span[]

class LagScreen implements MountedScreen {
  readonly #store: Store
  readonly #figures = div('figures')
  readonly #causes = div('causes')
  readonly #spans = new Map<Span, HTMLButtonElement>()
  readonly #back = button('Back', () => this.#show(zoomedBack(this.#view)))
  readonly #later = button('Later', () => this.#move(1))
  readonly #stage = el('select', { id: 'lag-stage' })
  readonly #notice = el('div')
  readonly #strip = new MarkStrip()
  readonly #charts: readonly HistoryChart[]
  readonly #numbers = el('details')
  readonly #table = div('lag-numbers')
  readonly #command = el('div')
  readonly #feed: LagHistoryFeed
  #view: LagView = { span: 'hour', zooms: [] }
  #shown: ShownHistory | undefined

  constructor(root: HTMLElement, store: Store) {
    this.#store = store
    this.#feed = new LagHistoryFeed({
      ask: (path) => ask<LagHistoryAnswer>('GET', path),
      asRefusal,
      onChange: () => this.update(store.state),
    })
    const options = [lagChart(() => this.#choice()), ...OTHER_CHARTS]
    this.#charts = options.map((each) => this.#newChart(each))
    this.#stage.append(...STAGES.map((stage) => option(stage, STAGE_TITLES[stage])))
    on(this.#stage, 'change', () => this.#draw())
    this.#numbers.append(el('summary', {}, 'The same numbers as a table'), this.#table)
    on(this.#numbers, 'toggle', () => this.#draw())
    root.append(
      this.#figures,
      this.#causes,
      this.#controls(),
      this.#notice,
      card('What happened', this.#strip.element),
      div('charts', ...this.#charts.map(({ element }) => element)),
      card('Numbers', this.#numbers),
      card('The same on the command line', this.#command),
    )
  }

  update(state: ConsoleState): void {
    const { status, lag, nowMs, link } = state
    this.#feed.want(this.#view, nowMs, link.is === 'live')
    if (!status || !lag) return
    const isLeader = status.role === 'leader'
    const now = state.lagPoints.at(-1)?.lagMs ?? lag.lagMs
    refill(this.#figures, [now, isLeader, lag], () => [
      figure(
        'Now',
        durationText(now),
        isLeader ? 'the slowest replica that is there' : behind(lag),
      ),
      ...(isLeader ? [] : percentiles(lag)),
    ])
    refill(this.#causes, status.causes, () => causeList(status.causes))
    this.#draw()
  }

  unmount(): void {
    this.#feed.close()
    for (const each of this.#charts) each.close()
  }

  #newChart(options: ConstructorParameters<typeof HistoryChart>[0]): HistoryChart {
    const nowMs = () => this.#store.state.nowMs
    return new HistoryChart(options, {
      shown: () => this.#shown,
      nowMs,
      onZoom: (fromMs, toMs) => this.#show(zoomedTo(this.#view, { fromMs, toMs }, nowMs())),
      onZoomIn: (aboutMs) => this.#show(zoomedIn(this.#view, nowMs(), aboutMs)),
      onZoomBack: () => this.#show(zoomedBack(this.#view)),
      onLook: (seconds) => {
        for (const chart of this.#charts) chart.look(seconds)
      },
    })
  }

  #controls(): HTMLElement {
    const choices = OF_SPANS.map((span) => {
      const choice = button(SPANS[span].title, () => this.#show({ span, zooms: [] }))
      this.#spans.set(span, choice)
      return choice
    })
    const group = (label: string, ...children: HTMLElement[]) =>
      el('div', { class: 'button-group', role: 'group', 'aria-label': label }, ...children)
    return div(
      'filters',
      group('Span', ...choices),
      group(
        'Part of it',
        button('Earlier', () => this.#move(-1)),
        this.#later,
        button('Zoom in', () => this.#show(zoomedIn(this.#view, this.#store.state.nowMs))),
        this.#back,
      ),
      labelled('Percentiles of', this.#stage),
    )
  }

  #move(by: -1 | 1): void {
    this.#show(moved(this.#view, by, this.#store.state.nowMs))
  }

  #show(view: LagView): void {
    this.#view = view
    this.update(this.#store.state)
  }

  #choice(): StageChoice {
    return STAGES.find((stage) => stage === this.#stage.value) ?? ''
  }

  #draw(): void {
    const { nowMs, measured, audit, status } = this.#store.state
    const { answered, refusal } = this.#feed
    this.#drawControls(nowMs)
    refill(this.#notice, refusal?.message, () => [refusal && refusalNotice(refusal)])
    const flags = sinceFlags(this.#view) + (this.#choice() ? ` --stage ${this.#choice()}` : '')
    const command = `walcast lag ${shellWord(status?.node ?? '')} ${flags}`
    refill(this.#command, command, () => [commandText(command)])
    if (!answered) return
    // Until the answer is there the charts show what they have.
    const { view, answer } = answered
    const isNow = view.zooms.length === 0
    const newest = isNow && answer.pointSeconds <= 10 ? measured : []
    const shown = shownHistory(answer, newest, isNow ? audit : [], windowOf(view, nowMs))
    this.#shown = shown
    for (const chart of this.#charts) chart.update(shown)
    const area = this.#charts[0]?.area
    if (area) this.#strip.update(shown, area, nowMs)
    if (!this.#numbers.open) return
    // Once in ten seconds at most: whoever reads it is not to lose their place.
    const whole = shown.points.slice(0, newest.length > 0 ? -1 : undefined)
    refill(this.#table, [whole, this.#choice()], () => [historyTable(whole, this.#choice(), nowMs)])
  }

  #drawControls(nowMs: number): void {
    const { span, zooms } = this.#view
    for (const [each, choice] of this.#spans)
      setAttributes(choice, { 'aria-pressed': each === span ? 'true' : 'false' })
    const isZoomed = zooms.length > 0
    setAttributes(this.#back, { 'aria-disabled': isZoomed ? undefined : 'true' })
    const isAtEnd = windowOf(this.#view, nowMs).toMs >= nowMs - 1000
    setAttributes(this.#later, { 'aria-disabled': isAtEnd ? 'true' : undefined })
  }
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
