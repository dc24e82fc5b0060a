/** Tokens, the secret and the keys that all members share, and the options of this node. */
import type { KeyInfo, OptionsAnswer } from '../../../api/optionsInForce.ts'
import { OPTIONS_PATH } from '../../../api/optionsInForce.ts'
import { el } from '../dom.ts'
import { startPoll } from '../pagePoll.ts'
import type { Poll } from '../poll.ts'
import { ask, type Refusal } from '../requests.ts'
import { parseRoute, routeText } from '../routes.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import type { Store } from '../store.ts'
import { KeysSection } from './keysSection.ts'
import { OptionsSection } from './optionsSection.ts'
import { TokensSection } from './tokensSection.ts'

/** How often the options and keys are read. They change with a role, a rotation, a renewal. */
const ASK_MS = 5000

export const settingsScreen: Screen = {
  id: 'settings',
  title: 'Settings',
  icon: 'settings',
  mount: (root, store) => new SettingsScreen(root, store),
}

const NO_KEYS: readonly KeyInfo[] = []

class SettingsScreen implements MountedScreen {
  readonly #tokens: TokensSection
  readonly #keys = new KeysSection()
  readonly #options = new OptionsSection()
  readonly #sections: Readonly<Record<string, HTMLElement>>
  #answer: OptionsAnswer | undefined
  #refusal: Refusal | undefined
  /** The section that the address named last. */
  #named = ''
  readonly #poll: Poll

  constructor(root: HTMLElement, store: Store) {
    this.#tokens = new TokensSection(store)
    this.#sections = {
      tokens: this.#tokens.element,
      keys: this.#keys.element,
      options: this.#options.element,
    }
    root.append(links(), ...Object.values(this.#sections))
    this.#poll = startPoll({
      read: async () => {
        this.#answer = await ask<OptionsAnswer>('GET', OPTIONS_PATH)
      },
      onRead: (refusal) => {
        this.#refusal = refusal
        this.update(store.state)
      },
      pauseMs: ASK_MS,
    })
  }

  update(state: ConsoleState): void {
    const { keys = this.#answer && NO_KEYS, options } = this.#answer ?? {}
    this.#tokens.update(state)
    this.#keys.update(state, keys, this.#refusal)
    this.#options.update(state, options, this.#refusal)
    this.#goTo(parseRoute(location.hash).rest)
  }

  unmount(): void {
    this.#poll.close()
    this.#tokens.unmount()
  }

  /** Once for each address: whoever scrolls on is left alone. */
  #goTo(name: string): void {
    if (name === this.#named) return
    this.#named = name
    const heading = this.#sections[name]?.querySelector('h2')
    heading?.scrollIntoView()
    heading?.focus({ preventScroll: true })
  }
}

function links(): HTMLElement {
  const link = (name: string, text: string) => el('a', { href: routeText('settings', name) }, text)
  return el(
    'nav',
    { class: 'sections', 'aria-label': 'Sections' },
    link('tokens', 'Tokens'),
    link('keys', 'Secret and keys'),
    link('options', 'Options of this node'),
  )
}
