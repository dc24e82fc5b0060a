/** All nodes of the cluster: a drawing, a list, and what can be done to each. */
import type { ClusterAnswer, ClusterNode } from '../../../api/clusterOverview.ts'
import { openAction } from '../actionDialog.ts'
import type { Action } from '../actions.ts'
import { demote, forget, pair, remove, switchoverTo } from '../clusterActions.ts'
import { clusterDrawing, lagText } from '../clusterDrawing.ts'
import { div, el, refill, span } from '../dom.ts'
import { agoText, countText, durationText, isoText, sentence } from '../format.ts'
import { roleTone, toneOfNode } from '../health.ts'
import { leaseNote, leaseText } from '../leaseNote.ts'
import { refusalText } from '../permission.ts'
import { badge, button, card, GuardedButton, note, table } from '../pieces.ts'
import { rehearse } from '../rehearseAction.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import type { Store } from '../store.ts'
import { NodeFilter } from './nodeFilter.ts'
import { PauseCard } from './pauseCard.ts'

const MIN_DRAWING_PX = 280

export const clusterScreen: Screen = {
  id: 'cluster',
  title: 'Cluster',
  icon: 'cluster',
  mount: (root, store) => new ClusterScreen(root, store),
}

class ClusterScreen implements MountedScreen {
  readonly #drawing = div('scroll')
  readonly #list = el('div')
  readonly #pause = new PauseCard()
  readonly #filter: NodeFilter
  readonly #pair = new GuardedButton('Pair a new node…', () => openAction(pair()))

  constructor(root: HTMLElement, store: Store) {
    this.#filter = new NodeFilter(() => this.update(store.state))
    root.append(
      card('Nodes and links', this.#drawing),
      card('Nodes', this.#filter.element, this.#list, this.#pair.element),
      this.#pause.element,
    )
  }

  update(state: ConsoleState): void {
    const { cluster, nowMs } = state
    this.#pair.update(pairRefusal(state))
    this.#pause.update(state)
    if (!cluster) return
    const width = Math.max(MIN_DRAWING_PX, Math.floor(this.#drawing.clientWidth))
    refill(this.#drawing, [cluster.nodes, width], () => [clusterDrawing(cluster, width)])
    const minute = Math.floor(nowMs / 60_000)
    const nodes = this.#filter.wanted(cluster.nodes)
    refill(this.#list, [leaseText(cluster), nodes, minute, state.session, state.link.is], () => [
      leaseNote(cluster),
      nodes.length === 0 ? note('No node is like that.') : nodeTable({ ...cluster, nodes }, state),
    ])
  }
}

function pairRefusal(state: ConsoleState): string | undefined {
  if (state.isOpen) return 'An open cluster has no secret, and nothing to pair with.'
  return refusalText(state, 'admin')
}

function nodeTable(cluster: ClusterAnswer, state: ConsoleState): HTMLElement {
  const heads = ['Node', 'Role', 'State', 'Position', 'Lag', 'Acknowledges', 'Version', 'Actions']
  return table(
    'Nodes',
    heads,
    cluster.nodes.flatMap((node) => nodeRows(node, cluster, state)),
  )
}

function nodeRows(node: ClusterNode, cluster: ClusterAnswer, state: ConsoleState): HTMLElement[] {
  const { role, position, version, ack, causes } = node
  const id = [
    node.node || 'not known yet',
    node.node === cluster.asked ? span('note', ' (this node)') : undefined,
    div('note', node.address),
  ]
  const row = el(
    'tr',
    {},
    el('th', { scope: 'row' }, ...id),
    el('td', {}, role ? badge(roleTone(role), role) : 'unknown'),
    el('td', {}, badge(toneOfNode(node), node.state), div('note', word(node, state))),
    el('td', {}, position ?? ''),
    el('td', {}, lagText(node), div('note', behindText(node))),
    el('td', {}, ack ?? ''),
    el('td', {}, version ?? ''),
    el('td', {}, actionsOf(node, cluster, state)),
  )
  const said = causes.map(({ text }) => el('p', {}, `${sentence(text)}.`))
  if (said.length === 0) return [row]
  return [row, el('tr', { class: 'causes-row' }, el('td', { colspan: 8, class: 'wide' }, ...said))]
}

function behindText({ behindTxids }: ClusterNode): string {
  return behindTxids ? `${countText(behindTxids)} transactions` : ''
}

/** Since when it has its role, or is away, or when it was last heard of. */
function word(
  { awaySince, roleSince, ageMs, isReachable }: ClusterNode,
  state: ConsoleState,
): string {
  if (awaySince) return `away since ${isoText(awaySince, state.nowMs)}`
  if (!isReachable) return ageMs === null ? 'never heard of' : `heard of ${agoText(ageMs)}`
  return roleSince ? `since ${isoText(roleSince, state.nowMs)}` : ''
}

function actionsOf(node: ClusterNode, cluster: ClusterAnswer, state: ConsoleState): HTMLElement {
  const buttons = possible(node, cluster).map(([text, action]) => {
    const why = refusalText(state, action.needs)
    const made = button(`${text}…`, () => openAction(action), 'small')
    if (why) {
      made.setAttribute('aria-disabled', 'true')
      made.title = why
    }
    made.setAttribute('aria-label', `${text} ${node.node}${why ? `: ${why}` : ''}`)
    return made
  })
  return div('row-actions', ...buttons)
}

function possible(
  node: ClusterNode,
  { asked, leader }: ClusterAnswer,
): (readonly [string, Action])[] {
  if (node.node === '') return []
  const { role, lagMs, isReachable, causes } = node
  if (role === 'leader') {
    if (isReachable) return node.node === asked ? [['Demote', demote(node.node)]] : []
    return removal(node)
  }
  if (!isReachable) return [['Forget', forget(node)], ...removal(node)]
  const reasons = causes.map(({ text }) => sentence(text))
  const behind = lagMs === null ? 'an unknown time' : durationText(lagMs)
  return [
    ['Switch over', switchoverTo(node.node, reasons, behind)],
    ...(leader ? ([['Rehearse', rehearse(node.node, leader, reasons, behind)]] as const) : []),
    ...removal(node),
  ]
}

function removal(node: ClusterNode): (readonly [string, Action])[] {
  return [['Remove', remove(node)]]
}
