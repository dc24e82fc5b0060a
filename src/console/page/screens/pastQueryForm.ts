/** A query on the database as it was at the moment that is picked, and its rows. */
import {
  MAX_SQL_CHARS,
  PAST_QUERY_PATH,
  type PastRows,
  type PastValue,
  QUERY_MS,
} from '../../../api/past.ts'
import { BY } from '../actions.ts'
import { nowMs } from '../browser.ts'
import { commandText, shellWord } from '../commandText.ts'
import { div, el, on, refill, span } from '../dom.ts'
import { isoText, plural } from '../format.ts'
import { cellOf, csvOf } from '../pastValues.ts'
import { busy, button, GuardedButton, labelled, newId, note, notice, table } from '../pieces.ts'
import { refusalNotice } from '../refusalNotice.ts'
import { ask } from '../requests.ts'
import type { PickedMoment } from '../restoreActions.ts'
import { saveJson, saveText } from '../savedFile.ts'

/** For the way there and back, and what a node reads of an archive before it begins. */
const BESIDE_MS = 70_000

export class PastQueryForm {
  readonly element: HTMLElement
  readonly #picked: () => PickedMoment
  readonly #sql = el('textarea', {
    id: newId(),
    maxlength: MAX_SQL_CHARS,
    spellcheck: 'false',
    autocapitalize: 'off',
    placeholder: 'SELECT …',
  })
  readonly #run = new GuardedButton('Ask the past', () => void this.#ask(), 'primary')
  readonly #stop = button('Stop', () => this.#running?.abort())
  readonly #command = el('div')
  readonly #answer = el('div', { class: 'stack rows', 'aria-live': 'polite' })
  #running: AbortController | undefined

  constructor(picked: () => PickedMoment) {
    this.#picked = picked
    this.#stop.hidden = true
    on(this.#sql, 'input', () => this.#tellCommand())
    on(this.#sql, 'keydown', (event) => {
      const isAsked = event.key === 'Enter' && (event.ctrlKey || event.metaKey)
      if (isAsked) this.#run.press()
    })
    this.element = el(
      'section',
      { class: 'part' },
      el('h3', {}, 'Ask the past'),
      labelled('A query on the database as it was at that moment', this.#sql),
      div('filters', this.#run.element, this.#stop),
      this.#command,
      this.#answer,
    )
    this.#tellCommand()
  }

  /** `why`: nothing may be asked. */
  update(why: string | undefined): void {
    this.#run.update(why)
    this.#tellCommand()
  }

  /** Ends the query that runs. */
  stop(): void {
    this.#running?.abort()
  }

  #tellCommand(): void {
    const { at, place } = this.#picked()
    const sql = this.#sql.value.trim() || 'SELECT …'
    refill(this.#command, [at, place, sql], () => [
      commandText(`walcast at ${at} ${shellWord(sql)} --from ${shellWord(place)}`),
    ])
  }

  async #ask(): Promise<void> {
    const sql = this.#sql.value.trim()
    if (sql === '' || this.#running) return
    const { number: place, at } = this.#picked()
    const running = new AbortController()
    this.#running = running
    this.#stop.hidden = false
    this.#answer.replaceChildren(busy('Asking the archive…'))
    const order = { place, at, sql, by: BY }
    const limitMs = QUERY_MS + BESIDE_MS
    try {
      const { signal } = running
      const rows = await ask<PastRows>('POST', PAST_QUERY_PATH, order, limitMs, signal)
      this.#answer.replaceChildren(...answered(rows))
    } catch (error) {
      this.#answer.replaceChildren(running.signal.aborted ? note('Stopped.') : refusalNotice(error))
    } finally {
      this.#running = undefined
      this.#stop.hidden = true
    }
  }
}

function answered(answer: PastRows): HTMLElement[] {
  const { position, at, columns, rows, cut } = answer
  const name = `past-${position}`
  const lines = rows.map((row) => el('tr', {}, ...row.map(cell)))
  const save = div(
    'filters',
    button('Save as CSV', () => saveText(`${name}.csv`, 'text/csv', csvOf(answer))),
    button('Save as JSON', () => saveJson(`${name}.json`, answer)),
  )
  const when = isoText(at, nowMs())
  return [
    el('p', {}, `${plural(rows.length, 'row')} at position ${position} of ${when}`),
    ...(cut ? [notice('warn', cutText(cut))] : []),
    table('Rows of the query', columns, lines),
    save,
  ]
}

function cutText(cut: NonNullable<PastRows['cut']>): string {
  return cut === 'rows'
    ? 'There are more rows. Ask for fewer, or use the command for all of them.'
    : 'The answer is cut at 4 MiB. Ask for less, or use the command for all of it.'
}

function cell(value: PastValue): HTMLElement {
  const { text, more, kind } = cellOf(value)
  if (kind === 'null') return el('td', {}, span('null', text))
  return el('td', { class: kind, title: more }, text)
}
