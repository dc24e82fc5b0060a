/** What happened at this node: one list, newest first, to be filtered and taken along as JSON. */
import {
  AUDIT_PATH,
  type AuditAnswer,
  type AuditEntry,
  MAX_AUDIT_ENTRIES,
} from '../../../api/audit.ts'
import { div, el, on, option, refill } from '../dom.ts'
import { isoText } from '../format.ts'
import type { Tone } from '../health.ts'
import { badge, button, card, labelled, note, table } from '../pieces.ts'
import { refusalNotice } from '../refusalNotice.ts'
import { ask } from '../requests.ts'
import { saveJson } from '../savedFile.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import { isWanted, type TimelineFilter, timelineActions } from '../timeline.ts'

const EVERYTHING: TimelineFilter = { action: '', text: '' }

export const timelineScreen: Screen = {
  id: 'timeline',
  title: 'Timeline',
  icon: 'timeline',
  mount: (root, store) => new TimelineScreen(root, () => store.state),
}

const TONES: Readonly<Record<AuditEntry['outcome'], Tone>> = {
  done: 'good',
  refused: 'warn',
  failed: 'bad',
}

class TimelineScreen implements MountedScreen {
  readonly #state: () => ConsoleState
  readonly #choice = el('select', { id: 'timeline-action' })
  readonly #search = el('input', { id: 'timeline-text', type: 'search', maxlength: 100 })
  readonly #list = el('div')
  readonly #failure = el('div')
  #filter = EVERYTHING

  constructor(root: HTMLElement, state: () => ConsoleState) {
    this.#state = state
    on(this.#choice, 'change', () => this.#filterBy({ action: this.#choice.value }))
    on(this.#search, 'input', () => this.#filterBy({ text: this.#search.value }))
    const filters = div(
      'filters',
      labelled('What', this.#choice),
      labelled('Contains', this.#search),
      button('Save as JSON', () => void this.#save()),
    )
    root.append(filters, this.#failure, card('Events', this.#list))
  }

  update({ audit, nowMs }: ConsoleState): void {
    const actions = timelineActions(audit)
    refill(this.#choice, actions, () => [
      option('', 'everything'),
      ...actions.map((action) => option(action, action)),
    ])
    this.#choice.value = this.#filter.action
    const shown = audit.filter((entry) => isWanted(entry, this.#filter)).reverse()
    // A day decides whether a time is shown with its date.
    refill(this.#list, [shown, new Date(nowMs).toDateString()], () => [
      shown.length === 0 ? nothing(audit.length) : timelineTable(shown, nowMs),
    ])
  }

  #filterBy(change: Partial<TimelineFilter>): void {
    this.#filter = { ...this.#filter, ...change }
    this.update(this.#state())
  }

  /** All that the node remembers, not only what is on the page. */
  async #save(): Promise<void> {
    try {
      const path = `${AUDIT_PATH}?limit=${MAX_AUDIT_ENTRIES}`
      const { entries } = await ask<AuditAnswer>('GET', path)
      const wanted = entries.filter((entry) => isWanted(entry, this.#filter))
      saveJson(`walcast-timeline-${this.#state().node}.json`, wanted)
      this.#failure.replaceChildren()
    } catch (error) {
      this.#failure.replaceChildren(refusalNotice(error))
    }
  }
}

function nothing(known: number): HTMLElement {
  const text = known === 0 ? 'Nothing has happened yet.' : 'Nothing of that kind is remembered.'
  return note(text)
}

function timelineTable(entries: readonly AuditEntry[], nowMs: number): HTMLElement {
  const heads = ['Time', 'What', 'Outcome', 'Position', 'Who asked', 'Detail']
  return table(
    'Events',
    heads,
    entries.map((entry) => entryRow(entry, nowMs)),
  )
}

function entryRow(entry: AuditEntry, nowMs: number): HTMLElement {
  const { at, action, outcome, role, epoch, txid, by, detail } = entry
  return el(
    'tr',
    {},
    el('td', {}, el('time', { datetime: at, title: at }, isoText(at, nowMs))),
    el('th', { scope: 'row' }, action),
    el('td', {}, badge(TONES[outcome], outcome)),
    el('td', {}, `${epoch}-${txid} (${role})`),
    el('td', {}, by),
    el('td', { class: 'wide' }, detail ?? ''),
  )
}
