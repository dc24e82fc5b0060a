/** The options of this node in force, with where each came from. A filter finds one by any word. */
import { isGiven, originText } from '../../../options/optionOrigin.ts'
import type { ShownOption } from '../../../options/shownOptions.ts'
import { commandText, shellWord } from '../commandText.ts'
import { div, el, on, refill, setText, span } from '../dom.ts'
import { optionGroups } from '../optionRows.ts'
import { badge, labelled, note, section, table } from '../pieces.ts'
import { insteadOfAnswer } from '../refusalNotice.ts'
import type { Refusal } from '../requests.ts'
import type { ConsoleState } from '../state.ts'

const DOCS = 'docs/options.md has all of them, and walcast node --help --all.'

export class OptionsSection {
  readonly element: HTMLElement
  readonly #query = el('input', { id: 'option-query', type: 'search', autocomplete: 'off' })
  readonly #changed = el('input', { id: 'option-changed', type: 'checkbox' })
  readonly #count = el('p', { class: 'note', role: 'status' })
  readonly #list = div('options')
  readonly #command = div('options')
  #options: readonly ShownOption[] | undefined
  #refusal: Refusal | undefined

  constructor() {
    const only = el('span', {}, 'Only what differs from the default')
    const filters = div(
      'filters',
      labelled('Filter', this.#query),
      el('label', { class: 'tick', for: this.#changed.id }, this.#changed, only),
    )
    on(this.#query, 'input', () => this.#draw())
    on(this.#changed, 'change', () => this.#draw())
    this.element = section('Options of this node', filters, this.#count, this.#list, this.#command)
  }

  /** `options`: undefined before the first answer. `refusal`: why there is none. */
  update(
    { node }: ConsoleState,
    options: readonly ShownOption[] | undefined,
    refusal: Refusal | undefined,
  ): void {
    this.#options = options
    this.#refusal = refusal
    refill(this.#command, node, () => [
      note(`The same on the command line, for any node. ${DOCS}`),
      commandText(`walcast config ${shellWord(node)} --all`),
    ])
    this.#draw()
  }

  #draw(): void {
    const options = this.#options
    if (!options) {
      const refusal = this.#refusal
      return refill(this.#list, refusal?.message, () => [insteadOfAnswer(refusal)])
    }
    const groups = optionGroups(options, this.#query.value, this.#changed.checked)
    const count = groups.reduce((sum, group) => sum + group.options.length, 0)
    setText(this.#count, `${count} of ${options.length} options`)
    refill(this.#list, groups, () =>
      groups.map((group) =>
        el('div', {}, el('h3', {}, group.title), groupTable(group.title, group.options)),
      ),
    )
  }
}

function groupTable(title: string, options: readonly ShownOption[]): HTMLElement {
  return table(`Options: ${title}`, ['Option', 'Value', 'From', 'What it does'], options.map(row))
}

function row({ name, value, default: fallback, origin, isChanged, help }: ShownOption) {
  const standard = isChanged && fallback !== null
  const parts = [
    value === null ? span('note', 'not set') : span('mono', value),
    ' ',
    isChanged && isGiven(origin) && badge('quiet', 'set'),
    standard && div('note', `default ${fallback}`),
  ]
  return el(
    'tr',
    {},
    el('th', { scope: 'row', class: 'mono' }, name),
    el('td', {}, ...parts),
    el('td', {}, originText(origin)),
    el('td', { class: 'note' }, help),
  )
}
