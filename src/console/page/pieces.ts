/** Small pieces that screens are put together from. */
import { type Child, div, el, on, setAttributes, setText, span } from './dom.ts'
import type { Tone } from './health.ts'
import { icon } from './icons.ts'

/** A word with the colour and the sign of its tone. */
export function badge(tone: Tone, word: string): HTMLElement {
  return span(`badge ${tone}`, tone !== 'quiet' && icon(tone), word)
}

export function card(title: string, ...children: Child[]): HTMLElement {
  return el('section', { class: 'card' }, el('h2', {}, title), ...children)
}

/** A card whose heading an address can name. */
export function section(title: string, ...children: Child[]): HTMLElement {
  return el('section', { class: 'card' }, el('h2', { tabindex: -1 }, title), ...children)
}

/** One number or word that is to be seen from afar, and what it means. */
export function figure(label: string, value: Child, note: Child = undefined): HTMLElement {
  return div(
    'figure',
    div('label', label),
    div('value', value),
    note !== undefined && div('note', note),
  )
}

/** Names and values, one pair a line. */
export function facts(pairs: readonly (readonly [string, Child])[]): HTMLElement {
  return el(
    'dl',
    { class: 'facts' },
    ...pairs.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]),
  )
}

/** A table that scrolls by itself where it is too wide. `label`: for whoever does not see it. */
export function table(
  label: string,
  heads: readonly string[],
  rows: readonly HTMLElement[],
): HTMLElement {
  const head = heads.map((text) => el('th', { scope: 'col' }, text))
  const about = { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }
  const parts = [el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows)]
  return el('div', about, el('table', {}, ...parts))
}

/** A remark in smaller, paler letters. */
export function note(...children: Child[]): HTMLElement {
  return el('p', { class: 'note' }, ...children)
}

/** Something is under way. */
export function busy(text: string): HTMLElement {
  return el('p', { class: 'busy' }, text)
}

/** `control` has an id. */
export function labelled(text: string, control: HTMLElement): HTMLElement {
  const about = { class: 'filter', for: control.id }
  return el('label', about, span('label', text), control)
}

export function notice(tone: Tone, ...children: Child[]): HTMLElement {
  return div(`notice ${tone}`, icon(tone), el('div', {}, ...children))
}

export function button(text: string, onClick: () => void, kind = ''): HTMLButtonElement {
  const made = el('button', { type: 'button', class: kind }, text)
  on(made, 'click', () => {
    if (made.getAttribute('aria-disabled') !== 'true') onClick()
  })
  return made
}

/** A button that stays reachable by keyboard while it may not be used, and says why. */
export class GuardedButton {
  readonly element: HTMLElement
  readonly #button: HTMLButtonElement
  readonly #why: HTMLElement

  constructor(text: string, onClick: () => void, kind = '') {
    this.#button = button(text, onClick, kind)
    this.#why = el('p', { class: 'why', id: newId() })
    this.element = div('guarded', this.#button, this.#why)
  }

  /** As if it was clicked: nothing while it may not be used. */
  press(): void {
    this.#button.click()
  }

  /** `why`: it may not be used; undefined: it may. */
  update(why: string | undefined): void {
    const isRefused = why !== undefined
    setAttributes(this.#button, {
      'aria-disabled': isRefused ? 'true' : undefined,
      'aria-describedby': isRefused ? this.#why.id : undefined,
    })
    setText(this.#why, why ?? '')
    this.#why.hidden = !isRefused
  }
}

let ids = 0

/** An id that no other element of the page has. */
export function newId(): string {
  return `id-${++ids}`
}
