/**
 * The rows of one bundle: page after page, of one table or all, side by side; some of them chosen,
 * and the SQL that brings those back.
 */
import {
  BUNDLE_ROWS_PATH,
  BUNDLE_SQL_PATH,
  type BundleInfo,
  DEFAULT_PAGE_ROWS,
} from '../../../api/bundles.ts'
import { type KeptPage, type KeptSql, MAX_CHOSEN_ROWS } from '../../../replica/diverged/keptRow.ts'
import { BY } from '../actions.ts'
import { commandText, copyable, shellWord } from '../commandText.ts'
import { div, el, on, option, refill, setText } from '../dom.ts'
import { plural } from '../format.ts'
import { refusalText } from '../permission.ts'
import { busy, button, card, GuardedButton, labelled, newId, note, notice } from '../pieces.ts'
import { refusalNotice } from '../refusalNotice.ts'
import { ask } from '../requests.ts'
import { rowSides } from '../rowSides.ts'
import type { ConsoleState } from '../state.ts'

const NEEDS = 'operate'

export class KeptRowsCard {
  readonly element: HTMLElement
  readonly #bundle: BundleInfo
  readonly #state: () => ConsoleState
  readonly #filter = el('select', { id: newId() })
  readonly #all = el('input', { type: 'checkbox' })
  readonly #count = el('span', { class: 'note', role: 'status' })
  readonly #updates = el('input', { type: 'checkbox' })
  readonly #rows = el('div', { class: 'kept-rows', 'aria-live': 'polite' })
  readonly #pages = div('row-buttons')
  readonly #result = el('div', { class: 'stack', 'aria-live': 'polite' })
  readonly #sql = new GuardedButton('SQL of the chosen rows', () => void this.#ask(), 'primary')
  readonly #boxes = new Map<number, HTMLInputElement>()
  readonly #chosen = new Set<number>()
  /** An answer to an earlier question is of no use. */
  #round = 0
  #sqlRound = 0
  #hasAsked = false

  constructor(bundle: BundleInfo, state: () => ConsoleState) {
    this.#bundle = bundle
    this.#state = state
    this.#filter.append(...tableOptions(bundle))
    on(this.#filter, 'change', () => void this.#load(0))
    on(this.#updates, 'change', () => this.#onChosen())
    on(this.#all, 'change', () => this.#chooseAll(this.#all.checked))
    const tools = div(
      'filters',
      labelled('Table', this.#filter),
      el('label', { class: 'choice' }, this.#all, 'Choose all on this page'),
      this.#count,
    )
    const overwrite = 'Overwrite rows that differ (they may be two rows with one key)'
    this.element = card(
      `Rows of ${bundle.name}`,
      tools,
      this.#rows,
      this.#pages,
      el('label', { class: 'choice' }, this.#updates, overwrite),
      this.#sql.element,
      this.#result,
    )
  }

  get name(): string {
    return this.#bundle.name
  }

  update(state: ConsoleState): void {
    const refused = refusalText(state, NEEDS)
    const count = this.#chosen.size
    const none = count === 0 ? 'Choose rows first.' : undefined
    const many =
      count > MAX_CHOSEN_ROWS ? `At most ${plural(MAX_CHOSEN_ROWS, 'row')} at once.` : undefined
    this.#sql.update(refused ?? none ?? many)
    if (refused === undefined && !this.#hasAsked) void this.#load(0)
    else if (!this.#hasAsked) refill(this.#rows, refused, () => [notice('quiet', refused)])
  }

  async #load(from: number): Promise<void> {
    this.#hasAsked = true
    const round = ++this.#round
    const { name } = this.#bundle
    const asked = { name, table: this.#filter.value, from: String(from) }
    const query = new URLSearchParams({ ...asked, limit: String(DEFAULT_PAGE_ROWS), by: BY })
    if (this.#boxes.size === 0) this.#rows.replaceChildren(busy('Reading…'))
    try {
      const page = await ask<KeptPage>('GET', `${BUNDLE_ROWS_PATH}?${query}`)
      if (round === this.#round) this.#show(page, from)
    } catch (error) {
      if (round === this.#round) this.#fail(error, () => void this.#load(from))
    }
  }

  #fail(error: unknown, again: () => void): void {
    this.#boxes.clear()
    this.#pages.replaceChildren()
    this.#rows.replaceChildren(refusalNotice(error), button('Ask again', again))
  }

  #show({ rows, next, detail }: KeptPage, from: number): void {
    this.#boxes.clear()
    for (const { row, fields } of rows) {
      const box = el('input', { type: 'checkbox' })
      box.checked = this.#chosen.has(row)
      // The SQL of a row that is too large to be shown is too long as well.
      box.disabled = fields.length === 0
      on(box, 'change', () => this.#choose(row, box.checked))
      this.#boxes.set(row, box)
    }
    const none = note('The list has no rows of this table.')
    this.#rows.replaceChildren(
      ...(detail === null ? [] : [notice('warn', `Not compared with this node: ${detail}`)]),
      ...(rows.length === 0 ? [none] : []),
      ...rows.map((row) => rowSides(row, this.#boxes.get(row.row) ?? el('span'))),
    )
    this.#pages.replaceChildren(
      button('Read again', () => void this.#load(from), 'small'),
      ...(from > 0 ? [button('First page', () => void this.#load(0), 'small')] : []),
      ...(next === null ? [] : [button('Next page', () => void this.#load(next), 'small')]),
    )
    this.#onChosen()
  }

  #choose(row: number, isChosen: boolean): void {
    if (isChosen) this.#chosen.add(row)
    else this.#chosen.delete(row)
    this.#onChosen()
  }

  #chooseAll(isChosen: boolean): void {
    for (const [row, box] of this.#boxes) {
      if (box.disabled) continue
      box.checked = isChosen
      if (isChosen) this.#chosen.add(row)
      else this.#chosen.delete(row)
    }
    this.#onChosen()
  }

  /** SQL that is shown is of the rows that are chosen now. */
  #onChosen(): void {
    const here = [...this.#boxes].filter(([, box]) => !box.disabled)
    const count = here.filter(([row]) => this.#chosen.has(row)).length
    this.#all.checked = count > 0 && count === here.length
    this.#all.indeterminate = count > 0 && count < here.length
    this.#sqlRound++
    this.#result.replaceChildren()
    // Those of other pages and tables stay chosen.
    const all = this.#chosen.size
    setText(this.#count, all === 0 ? '' : `${plural(all, 'row')} of this bundle chosen`)
    this.update(this.#state())
  }

  async #ask(): Promise<void> {
    const { name } = this.#bundle
    const rows = [...this.#chosen].sort((a, b) => a - b)
    const updates = this.#updates.checked
    const round = ++this.#sqlRound
    this.#result.replaceChildren(busy('Comparing the rows…'))
    try {
      const answer = await ask<KeptSql>('POST', BUNDLE_SQL_PATH, { name, rows, updates, by: BY })
      if (round !== this.#sqlRound) return
      const flags = `--rows ${rows.join(',')}${updates ? ' --updates' : ''}`
      const command = `walcast diverged sql ${shellWord(name)} ${flags}`
      this.#result.replaceChildren(...sqlParts(answer, updates, command))
    } catch (error) {
      if (round !== this.#sqlRound) return
      this.#result.replaceChildren(refusalNotice(error))
    }
  }
}

function tableOptions({ tables }: BundleInfo): HTMLElement[] {
  const options = tables.map(({ table, removed, changed }) =>
    option(table, `${table} (${removed + changed})`),
  )
  const all = tables.reduce((sum, { removed, changed }) => sum + removed + changed, 0)
  return [option('', `all (${all})`), ...options]
}

function sqlParts(
  { sql, inserted, conflicts }: KeptSql,
  updates: boolean,
  command: string,
): Node[] {
  const what = updates ? 'overwritten' : 'in conflict, left alone as comments'
  const said = `${plural(inserted, 'row')} inserted, ${plural(conflicts, 'row')} ${what}.`
  const script = copyable(el('code', {}, sql), 'Copy the SQL')
  script.classList.add('sql')
  return [
    notice(
      inserted + (updates ? conflicts : 0) > 0 ? 'good' : 'quiet',
      el('p', {}, `${said} Read the comments, then run it at the leader: sqlite3 -bail FILE.`),
    ),
    script,
    el('p', { class: 'label' }, 'The same on the command line'),
    commandText(command),
  ]
}
