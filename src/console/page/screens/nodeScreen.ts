/** This node at a glance: its role and position, what needs attention, and who follows it. */
import type { ReplicaStatus } from '../../../feed/replicaStatus.ts'
import { div, el, refill } from '../dom.ts'
import {
  agoText,
  bytesText,
  countText,
  durationText,
  isoText,
  plural,
  positionText,
} from '../format.ts'
import { roleTone } from '../health.ts'
import { badge, card, facts, figure, note, table } from '../pieces.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import { causeList } from './causeList.ts'

export const nodeScreen: Screen = {
  id: 'node',
  title: 'This node',
  icon: 'node',
  mount: (root) => new NodeScreen(root),
}

class NodeScreen implements MountedScreen {
  readonly #figures = div('figures')
  readonly #causes = div('causes')
  readonly #replicas = el('div')
  readonly #facts = el('div')

  constructor(root: HTMLElement) {
    root.append(
      this.#figures,
      this.#causes,
      card('Replicas', this.#replicas),
      card('About', this.#facts),
    )
  }

  update({ status, nowMs }: ConsoleState): void {
    if (!status) return
    const { role, roleSince, state, epoch, txid, walBytes, pages, pageSize, replicas } = status
    const connected = replicas.filter((replica) => replica.connected).length
    refill(this.#figures, [role, roleSince, state, epoch, txid, walBytes, replicas, nowMs], () => [
      figure('Role', badge(roleTone(role), role), sinceText(roleSince, nowMs)),
      figure('Position', positionText(epoch, txid), state),
      figure('WAL', bytesText(walBytes), `database ${bytesText(pages * pageSize)}`),
      figure('Replicas', `${connected} of ${replicas.length}`, 'connected'),
    ])
    refill(this.#causes, status.causes, () => causeList(status.causes))
    refill(this.#replicas, [replicas, Math.floor(nowMs / 1000)], () => [
      replicaTable(replicas, nowMs),
    ])
    const { db, checksum, version, uptimeSeconds, cluster } = status
    refill(
      this.#facts,
      [db, checksum, version, cluster, pages, Math.floor(uptimeSeconds / 60)],
      () => [
        facts([
          ['Database', db],
          ['Pages', `${plural(pages, 'page')} of ${countText(pageSize)} B`],
          ['State checksum', checksum],
          ['Cluster', cluster || 'none yet'],
          ['Version', version],
          ['Up for', durationText(uptimeSeconds * 1000)],
        ]),
      ],
    )
  }
}

function sinceText(roleSince: string | undefined, nowMs: number): string {
  return roleSince === undefined ? 'from the start' : `since ${isoText(roleSince, nowMs)}`
}

function replicaTable(replicas: readonly ReplicaStatus[], nowMs: number): HTMLElement {
  if (replicas.length === 0) return note('No replica has been seen yet.')
  const heads = ['Node', 'State', 'Position', 'Lag', 'Last word']
  return table(
    'Replicas',
    heads,
    replicas.map((replica) => replicaRow(replica, nowMs)),
  )
}

function replicaRow(replica: ReplicaStatus, nowMs: number): HTMLElement {
  const { node, address, state, connected, epoch, txid, lagMs, lastSeen } = replica
  return el(
    'tr',
    {},
    el('th', { scope: 'row', title: address }, node),
    el('td', {}, connected ? badge('good', state) : badge('bad', 'away')),
    el('td', { class: 'number' }, txid === null ? '' : positionText(epoch, txid)),
    el('td', { class: 'number' }, durationText(lagMs)),
    el('td', { class: 'number' }, connected ? 'now' : agoText(nowMs - Date.parse(lastSeen))),
  )
}
