/** The frame of the page: top bar, word of a lost connection, menu, and one screen at a time. */
import { AwayNotice } from './awayNotice.ts'
import { every, markOnce } from './browser.ts'
import { div, el, on, refill, setAttributes, span } from './dom.ts'
import { icon } from './icons.ts'
import type { NodeLink } from './link.ts'
import { loginForm } from './loginForm.ts'
import { PauseNotice } from './pauseNotice.ts'
import { busy } from './pieces.ts'
import { parseRoute, routeText } from './routes.ts'
import type { MountedScreen, Screen } from './screen.ts'
import { screenFor, screensFor } from './screens.ts'
import type { ConsoleState } from './state.ts'
import type { Store } from './store.ts'
import { TopBar } from './topBar.ts'

const SECOND_MS = 1000
/** When the page first showed its node, as the browser's own measure of a load has it. */
const FIRST_STATE_MARK = 'walcast-first-state'

export class Shell {
  readonly #store: Store
  readonly #link: NodeLink
  readonly #bar: TopBar
  readonly #away: AwayNotice
  readonly #paused = new PauseNotice()
  readonly #menu = el('nav', { class: 'menu', 'aria-label': 'Screens' })
  readonly #main = el('main', { id: 'main', tabindex: -1 })
  /** What `main` shows: a screen, or what stands in for one. */
  #shown: Screen | 'login' | 'waiting' | undefined
  #mounted: MountedScreen | undefined
  /** Whoever logs out here is not told that the session has ended. */
  #isLeaving = false

  constructor(root: HTMLElement, store: Store, link: NodeLink) {
    this.#store = store
    this.#link = link
    this.#away = new AwayNotice(() => void link.retry())
    this.#bar = new TopBar(() => void this.#leave())
    const skip = el('a', { class: 'skip', href: '#main' }, 'Skip to the content')
    on(skip, 'click', (event) => {
      event.preventDefault()
      this.#main.focus()
    })
    root.append(
      skip,
      this.#bar.element,
      this.#away.element,
      this.#paused.element,
      div('frame', this.#menu, this.#main),
    )
  }

  start(): void {
    this.#store.watch((state) => this.#draw(state))
    addEventListener('hashchange', () => this.#draw(this.#store.state))
    every(() => this.#away.update(this.#store.state.link), SECOND_MS)
  }

  #draw(state: ConsoleState): void {
    this.#bar.update(state)
    this.#away.update(state.link)
    this.#paused.update(state)
    const shown = this.#wanted(state)
    this.#drawMenu(state, shown)
    if (shown !== this.#shown) this.#show(shown, state)
    this.#mounted?.update(state)
    if (this.#mounted) markOnce(FIRST_STATE_MARK)
  }

  #wanted(state: ConsoleState): Screen | 'login' | 'waiting' {
    if (state.session === null) return 'login'
    if (!state.session || !state.status) return 'waiting'
    return screenFor(parseRoute(location.hash).screen, state)
  }

  #show(shown: Screen | 'login' | 'waiting', state: ConsoleState): void {
    this.#mounted?.unmount?.()
    const wasIn = this.#mounted !== undefined && !this.#isLeaving
    this.#mounted = undefined
    this.#shown = shown
    this.#main.replaceChildren()
    if (shown === 'waiting') this.#main.append(busy('Asking the node…'))
    else if (shown === 'login') this.#showLogin(state, wasIn)
    else {
      this.#main.append(el('h1', {}, shown.title))
      this.#mounted = shown.mount(this.#main, this.#store)
    }
  }

  async #leave(): Promise<void> {
    this.#isLeaving = true
    await this.#link.logout().catch(() => this.#link.retry())
    this.#isLeaving = false
  }

  #showLogin({ node }: ConsoleState, wasIn: boolean): void {
    this.#main.append(loginForm(node, wasIn, (token) => this.#link.login(token)))
    this.#main.querySelector('input')?.focus()
  }

  #drawMenu(state: ConsoleState, shown: Screen | 'login' | 'waiting'): void {
    const there = typeof shown === 'string' ? [] : screensFor(state)
    const counts = there.map((each) => each.count?.(state) ?? 0)
    refill(this.#menu, [there.map(({ id }) => id), counts, Object(shown).id], () =>
      there.map(({ id, title, icon: name }, at) =>
        el(
          'a',
          {
            href: routeText(id),
            'aria-current': shown === screenFor(id, state) ? 'page' : undefined,
          },
          icon(name),
          title,
          counts[at] > 0 && span('badge warn count', ` ${counts[at]}`),
        ),
      ),
    )
    setAttributes(this.#menu, { hidden: there.length < 2 })
    if (shown !== this.#shown)
      this.#menu.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' })
  }
}
