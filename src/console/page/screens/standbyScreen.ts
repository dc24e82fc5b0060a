/**
 * The first screen of a node that does not lead: who leads and whether it answers, how far this
 * copy is, what a promotion now would lose, and the button.
 */
import type { ClusterNode } from '../../../api/clusterOverview.ts'
import { FITNESS_PATH, type FitnessAnswer } from '../../../api/roleAnswers.ts'
import { openAction } from '../actionDialog.ts'
import { Chart } from '../chart.ts'
import { div, el, refill } from '../dom.ts'
import {
  countText,
  durationText,
  isoText,
  plural,
  positionText,
  sentence,
  timeText,
} from '../format.ts'
import { lagSeries } from '../lagSeries.ts'
import { leaseNote, leaseText } from '../leaseNote.ts'
import { startPoll } from '../pagePoll.ts'
import { refusalText } from '../permission.ts'
import { badge, card, figure, GuardedButton, notice } from '../pieces.ts'
import type { Poll } from '../poll.ts'
import { insteadOfAnswer } from '../refusalNotice.ts'
import { ask, type Refusal } from '../requests.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import type { Store } from '../store.ts'
import { causeList } from './causeList.ts'
import { livingLeader, lostText, makePrimary } from './makePrimary.ts'
import { provenRestores } from './provenRestores.ts'

/** How often the others are asked who leads. */
const ASK_MS = 5000
const CHART_PX = 140
const MINUTE_MS = 60_000
/** A copy that lags less is as good as level to a person, ms. */
const LEVEL_MS = 1000

export const standbyScreen: Screen = {
  id: 'standby',
  title: 'Standby',
  icon: 'standby',
  isFor: ({ status }) => status !== undefined && status.role !== 'leader',
  mount: (root, store) => new StandbyScreen(root, store),
}

/** Since when it leads, or since when it is away. */
function sinceText(leader: ClusterNode | undefined, nowMs: number): string {
  const at = leader?.awaySince ?? leader?.roleSince
  if (!at) return ''
  const since = isoText(at, nowMs)
  return leader?.awaySince ? `since ${since}, ` : `leads since ${since}, `
}

class StandbyScreen implements MountedScreen {
  readonly #figures = div('figures')
  readonly #causes = div('causes')
  readonly #against = el('div')
  readonly #proven = el('div')
  readonly #chart: Chart
  readonly #button: GuardedButton
  #fitness: FitnessAnswer | undefined
  #refusal: Refusal | undefined
  readonly #poll: Poll

  constructor(root: HTMLElement, store: Store) {
    this.#button = new GuardedButton(
      'Make me primary…',
      () => openAction(makePrimary(store.state.node, store.state.cluster)),
      'danger large',
    )
    this.#chart = new Chart({
      label: 'Lag of this copy over time',
      lines: [{ label: 'lag', colour: '--accent' }],
      heightPx: CHART_PX,
      text: durationText,
    })
    root.append(
      this.#figures,
      this.#causes,
      card('Take over', this.#against, this.#button.element),
      card('Lag since this page was opened', this.#chart.element),
      card('Last proven restore', this.#proven),
    )
    this.#poll = startPoll({
      read: async () => {
        this.#fitness = await ask<FitnessAnswer>('GET', FITNESS_PATH)
      },
      onRead: (refusal) => {
        this.#refusal = refusal
        this.update(store.state)
      },
      pauseMs: ASK_MS,
    })
  }

  update(state: ConsoleState): void {
    const { status, lag, cluster, backups, nowMs, lagPoints } = state
    if (!status) return
    const fitness = this.#fitness
    const shown = [status.leader, status.epoch, status.txid, lag, cluster, fitness, nowMs]
    refill(this.#figures, shown, () => [
      this.#leaderFigure(state),
      this.#copyFigure(state),
      this.#ageFigure(state),
      this.#lossFigure(state),
    ])
    refill(this.#causes, status.causes, () => causeList(status.causes))
    refill(this.#against, [fitness, this.#refusal?.message, leaseText(cluster)], () => [
      this.#judgement(),
      leaseNote(cluster),
    ])
    const restorable = cluster?.nodes.map(({ node, restorableUntil }) => [node, restorableUntil])
    refill(this.#proven, [backups, restorable, Math.floor(nowMs / MINUTE_MS)], () => [
      provenRestores(state),
    ])
    this.#button.update(refusalText(state, makePrimary(state.node).needs))
    this.#chart.update(lagSeries(lagPoints))
  }

  unmount(): void {
    this.#poll.close()
    this.#chart.close()
  }

  #leaderFigure({ status, lag, cluster, nowMs }: ConsoleState): HTMLElement {
    const living = this.#fitness && livingLeader(this.#fitness)
    const leader = cluster?.nodes.find(({ role }) => role === 'leader')
    const answers = living !== undefined || leader?.isReachable || lag?.connected === true
    const name = leader?.node ?? living?.node ?? status?.leader ?? ''
    const since = sinceText(leader, nowMs)
    const word = answers ? badge('good', 'answers') : badge('bad', 'does not answer')
    return figure(
      'Leader',
      name || 'none known',
      el('span', {}, word, ` ${since}epoch ${status?.epoch ?? 0}`),
    )
  }

  #copyFigure({ status, lag }: ConsoleState): HTMLElement {
    const behind = lag && lag.txidLag > 0 ? `${plural(lag.txidLag, 'transaction')} behind` : 'level'
    const said = `${behind} with what the leader announced`
    return figure('This copy', positionText(status?.epoch ?? 0, status?.txid ?? 0), said)
  }

  #ageFigure({ lag, nowMs }: ConsoleState): HTMLElement {
    if (!lag) return figure('Age of this copy', '…')
    const levelAt = nowMs - lag.lagMs
    const note =
      lag.lagMs < LEVEL_MS ? 'as of now' : `as the leader was at ${timeText(levelAt, nowMs)}`
    return figure('Age of this copy', durationText(lag.lagMs), note)
  }

  #lossFigure({ lag, nowMs }: ConsoleState): HTMLElement {
    const fitness = this.#fitness
    if (!fitness) return figure('A promotion would lose', '…')
    const { lost } = fitness
    const isNone = !lost || lost.transactions === 0
    const value = isNone
      ? '0'
      : lost.transactions === null
        ? 'unknown'
        : countText(lost.transactions)
    const known = isNone
      ? 'transactions that this node has heard of'
      : lost.detail || lostText(lost)
    const lagMs = lag?.lagMs ?? 0
    const after = timeText(nowMs - lagMs, nowMs)
    const note = lagMs < LEVEL_MS ? known : `${known}; and whatever was committed after ${after}`
    return figure('A promotion would lose', value, note)
  }

  /** What the others say of a promotion. */
  #judgement(): HTMLElement {
    const fitness = this.#fitness
    if (!fitness) return insteadOfAnswer(this.#refusal)
    const living = livingLeader(fitness)
    if (living)
      return notice(
        'quiet',
        `${living.node} leads and answers: a switchover hands over without loss.`,
      )
    if (fitness.fit) return notice('warn', 'No leader answers. This node is fit to lead.')
    return notice(
      'bad',
      el('p', {}, 'No leader answers. Against this node speaks:'),
      el('ul', {}, ...fitness.reasons.map((reason) => el('li', {}, sentence(reason)))),
    )
  }
}
