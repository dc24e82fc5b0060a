/** What the archives of this node can give back, whether that is proven, and what to do with it. */
import type { PlaceReport } from '../../../api/backupStatus.ts'
import type { SnapshotReport } from '../../../api/snapshotStatus.ts'
import { openAction } from '../actionDialog.ts'
import { archiveLine } from '../archiveLine.ts'
import { proofText, untilText } from '../archiveTexts.ts'
import { backUpNow } from '../backupActions.ts'
import { div, el, refill } from '../dom.ts'
import { agoText, bytesText, durationText, isoText, plural } from '../format.ts'
import { refusalText } from '../permission.ts'
import { card, facts, GuardedButton, notice } from '../pieces.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import { ArchiveContents } from './archiveContents.ts'
import { MomentPicker } from './momentPicker.ts'
import { PlacePast } from './placePast.ts'
import { RestoreCard } from './restoreCard.ts'

export const backupsScreen: Screen = {
  id: 'backups',
  title: 'Backups',
  icon: 'backups',
  mount: (root) => new BackupsScreen(root),
}

class BackupsScreen implements MountedScreen {
  readonly #root: HTMLElement
  readonly #now = new GuardedButton('Back up now…', () => openAction(backUpNow(false)), 'primary')
  readonly #snapshot = new GuardedButton('With a snapshot…', () => openAction(backUpNow(true)))
  readonly #places = new Map<string, PlaceCard>()
  readonly #restore = new RestoreCard()
  readonly #others = div('stack')

  constructor(root: HTMLElement) {
    this.#root = root
    const actions = div('filters', this.#now.element, this.#snapshot.element)
    root.append(actions, this.#restore.element, this.#others)
  }

  update(state: ConsoleState): void {
    const all = Object.values(state.backups ?? {})
    const places = all.flatMap(({ backup }) => backup?.places ?? [])
    const snapshots = all.flatMap(({ snapshots: report }) => report ?? [])
    const refused = refusalText(state, 'operate')
    this.#now.update(refused)
    this.#snapshot.update(refused)
    this.#restore.update(state)
    for (const [i, report] of places.entries())
      this.#cardOf(report.place, i + 1).update(report, state.nowMs, refused)
    const there = places.map(({ place }, i) => keyOf(place, i + 1))
    for (const [key, each] of this.#places) if (!there.includes(key)) this.#drop(key, each)
    const minute = Math.floor(state.nowMs / 60_000)
    refill(this.#others, [places.length === 0, snapshots, minute], () => [
      ...(places.length === 0 ? [noArchive()] : []),
      ...snapshots.map((report) => snapshotCard(report, state.nowMs)),
    ])
  }

  unmount(): void {
    for (const each of this.#places.values()) each.stop()
  }

  #cardOf(place: string, number: number): PlaceCard {
    const key = keyOf(place, number)
    const known = this.#places.get(key)
    if (known) return known
    const made = new PlaceCard(place, number)
    this.#places.set(key, made)
    this.#root.insertBefore(made.element, this.#others)
    return made
  }

  #drop(key: string, gone: PlaceCard): void {
    gone.stop()
    gone.element.remove()
    this.#places.delete(key)
  }
}

/** The node is asked by number: after a restart with other places it is that of another one. */
function keyOf(place: string, number: number): string {
  return `${number} ${place}`
}

function noArchive(): HTMLElement {
  return notice('warn', 'This node writes no archive. Start it with --backup PLACE.')
}

class PlaceCard {
  readonly element: HTMLElement
  readonly #said = div('causes')
  readonly #facts = el('div')
  readonly #picker: MomentPicker
  readonly #past: PlacePast
  readonly #contents: ArchiveContents

  /** `number`: which one of --backup, from 1. */
  constructor(place: string, number: number) {
    this.#picker = new MomentPicker(place, () => this.#past.onPick())
    this.#past = new PlacePast(() => ({ place, number, at: this.#picker.at }))
    this.#contents = new ArchiveContents(number)
    this.element = card(
      place,
      this.#said,
      this.#facts,
      this.#picker.element,
      this.#past.element,
      this.#contents.element,
    )
  }

  stop(): void {
    this.#past.stop()
  }

  /** `refused`: why no past may be read. */
  update(report: PlaceReport, nowMs: number, refused: string | undefined): void {
    const { isStalled, isProofOverdue, lastError, drillFailure } = report
    refill(this.#said, [isStalled, isProofOverdue, lastError, drillFailure], () => saidOf(report))
    refill(this.#facts, [report, Math.floor(nowMs / 1000)], () => [placeFacts(report, nowMs)])
    this.#picker.update(archiveLine(report), nowMs)
    this.#past.update(refused)
    this.#contents.update(refused)
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
  const time = (iso: string) => isoText(iso, nowMs)
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
      upkeep ? `${plural(upkeep.files, 'file')}, ${bytesText(upkeep.bytes)}` : 'not known yet',
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
