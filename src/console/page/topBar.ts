/** The bar on top: which node this is, its role and leader, how it fares, who is logged in. */
import { div, el, refill, setText, span } from './dom.ts'
import { healthOf, roleTone } from './health.ts'
import { icon } from './icons.ts'
import { badge, button } from './pieces.ts'
import type { ConsoleState } from './state.ts'
import { themeSwitch } from './theme.ts'

export class TopBar {
  readonly element: HTMLElement
  readonly #node = span('node-id')
  readonly #facts = div('bar-facts')
  readonly #health = el('div', { class: 'health', role: 'status' })
  readonly #who = div('who')
  readonly #onLogout: () => void

  constructor(onLogout: () => void) {
    this.#onLogout = onLogout
    const where = span('hidden-label', ', first screen')
    const brand = el('a', { class: 'brand', href: '#/' }, icon('mark'), this.#node, where)
    this.element = el(
      'header',
      { class: 'top-bar' },
      brand,
      this.#facts,
      this.#health,
      div('spacer'),
      this.#who,
      themeSwitch(),
    )
  }

  update(state: ConsoleState): void {
    const { node, status, session, isOpen } = state
    setText(this.#node, node === '' ? 'walcast' : node)
    document.title = node === '' ? 'walcast' : `${node}: ${healthOf(state).word}`
    const role = status?.role
    const leader = status && status.role !== 'leader' ? status.leader : ''
    refill(this.#facts, [role, leader], () => [
      role && badge(roleTone(role), role),
      leader && span('leader', 'leader ', el('b', {}, leader)),
    ])
    const health = healthOf(state)
    refill(this.#health, health, () => [badge(health.tone, health.word)])
    refill(this.#who, [session, isOpen], () => this.#whoIs(state))
  }

  #whoIs({ session, isOpen }: ConsoleState): Node[] {
    if (isOpen) return [badge('warn', 'open: no login')]
    if (!session) return []
    const { role, token } = session
    if (token === null) return [span('token', 'this machine')]
    const shown = span('token', role, el('span', {}, `, token ${token}`))
    return [shown, button('Log out', this.#onLogout, 'small')]
  }
}
