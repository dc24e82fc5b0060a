/** What the archives of this node can give back, whether that is proven, and a backup now. */
import type { PlaceReport } from '../../../api/backupStatus.ts'
import type { SnapshotReport } from '../../../api/snapshotStatus.ts'
import { openAction } from '../actionDialog.ts'
import { archiveLine } from '../archiveLine.ts'
import { proofText, untilText } from '../archiveTexts.ts'
import { backUpNow } from '../backupActions.ts'
import { el, refill } from '../dom.ts'
import { agoText, bytesText, countText, durationText, timeText } from '../format.ts'
import { refusalText } from '../permission.ts'
import { card, facts, GuardedButton, notice } from '../pieces.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import { MomentPicker } from './momentPicker.ts'

export const backupsScreen: Screen = {
  id: 'backups',
  title: 'Backups',
  icon: 'backups',
  isFor: () => true,
  mount: (root) => new BackupsScreen(root),
}

class BackupsScreen implements MountedScreen {
  readonly #root: HTMLElement
  readonly #now = new GuardedButton('Back up now…', () => openAction(backUpNow(false)), 'primary')
  readonly #snapshot = new GuardedButton('With a snapshot…', () => openAction(backUpNow(true)))
  readonly #places = new Map<string, PlaceCard>()
  readonly #others = el('div', { class: 'stack' })

  constructor(root: HTMLElement) {
    this.#root = root
    const actions = el('div', { class: 'filters' }, this.#now.element, this.#snapshot.element)
    root.append(el('h1', {}, 'Backups'), actions, this.#others)
  }

  update(state: ConsoleState): void {
    const all = Object.values(state.backups ?? {})
    const places = all.flatMap(({ backup }) => backup?.places ?? [])
    const snapshots = all.flatMap(({ snapshots: report }) => report ?? [])
    const refused = refusalText(state, 'operate')
    this.#now.update(refused)
    this.#snapshot.update(refused)
    for (const report of places) this.#cardOf(report.place).update(report, state.nowMs)
    const minute = Math.floor(state.nowMs / 60_000)
    refill(this.#others, [places.length === 0, snapshots, minute], () => [
      ...(places.length === 0 ? [noArchive()] : []),
      ...snapshots.map((report) => snapshotCard(report, state.nowMs)),
    ])
  }

  #cardOf(place: string): PlaceCard {
    const known = this.#places.get(place)
    if (known) return known
    const made = new PlaceCard(place)
    this.#places.set(place, made)
    this.#root.insertBefore(made.element, this.#others)
    return made
  }
}

function noArchive(): HTMLElement {
  return notice('warn', 'This node writes no archive. Start it with --backup PLACE.')
}

class PlaceCard {
  readonly element: HTMLElement
  readonly #said = el('div', { class: 'causes' })
  readonly #facts = el('div')
  readonly #picker: MomentPicker

  constructor(place: string) {
    this.#picker = new MomentPicker(place)
    this.element = card(place, this.#said, this.#facts, this.#picker.element)
  }

  update(report: PlaceReport, nowMs: number): void {
    const { isStalled, isProofOverdue, lastError, drillFailure } = report
    refill(this.#said, [isStalled, isProofOverdue, lastError, drillFailure], () => saidOf(report))
    refill(this.#facts, [report, Math.floor(nowMs / 1000)], () => [placeFacts(report, nowMs)])
    this.#picker.update(archiveLine(report), nowMs)
  }
}

function saidOf({
  isStalled,
  isProofOverdue,
  lastError,
  drillFailure,
}: PlaceReport): HTMLElement[] {
  return [
    ...(isStalled ? [notice('bad', 'Commits wait for this place for too long.')] : []),
    ...(isProofOverdue ? [notice('warn', 'No restore was proven for twice the usual time.')] : []),
    ...(lastError ? [notice('bad', lastError.message)] : []),
    ...(drillFailure ? [notice('bad', `The last drill failed: ${drillFailure.message}`)] : []),
  ]
}

function placeFacts(report: PlaceReport, nowMs: number): HTMLElement {
  const { isArchiving, behindMs, upkeep } = report
  const time = (iso: string) => timeText(Date.parse(iso), nowMs)
  const kept = (upkeep?.restorable ?? []).map(({ grain, from, to }) =>
    el('div', {}, `${grain === 'all' ? 'every position' : grain}: ${time(from)} to ${time(to)}`),
  )
  return facts([
    ['Archives', isArchiving ? 'this node' : 'another node of the cluster'],
    ['Restorable until', untilText(report, nowMs) ?? 'not known yet'],
    ['Behind', behindMs === undefined ? 'not known' : durationText(behindMs)],
    ['Proven', proofText(report, nowMs) ?? 'not yet'],
    [
      'Holds',
      upkeep ? `${countText(upkeep.files)} files, ${bytesText(upkeep.bytes)}` : 'not known yet',
    ],
    ['Keeps', kept.length > 0 ? el('div', {}, ...kept) : 'not known yet'],
  ])
}

function snapshotCard(report: SnapshotReport, nowMs: number): HTMLElement {
  const { place, everyMs, last, isOverdue, lastError } = report
  const made =
    last && `${last.name}, ${agoText(nowMs - Date.parse(last.at))}, ${bytesText(last.bytes)}`
  return card(
    `Dated snapshots in ${place}`,
    isOverdue && notice('bad', 'Two that were due were not made.'),
    lastError && notice('bad', lastError.message),
    facts([
      ['Every', durationText(everyMs)],
      ['Last', made ?? 'none yet'],
    ]),
  )
}
