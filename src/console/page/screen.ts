/**
 * What a screen is: a module that draws one part of the state. It is mounted when the address names
 * it, updated at each change of the state, and thrown away when the address names another.
 */
import type { IconName } from './icons.ts'
import type { ConsoleState } from './state.ts'
import type { Store } from './store.ts'

export interface MountedScreen {
  /** About once a second: see `refill` of dom.ts. */
  update(state: ConsoleState): void
  /** Ends what the screen has begun by itself, such as a timer. */
  unmount?(): void
}

export interface Screen {
  /** In the address. */
  readonly id: string
  /** In the menu, and its heading. */
  readonly title: string
  readonly icon: IconName
  /** Whether the menu shows it, such as only on nodes that do not lead; always unless given. */
  isFor?(state: ConsoleState): boolean
  /** How many things there wait for a person; the menu shows it. */
  count?(state: ConsoleState): number
  /** Below its heading. */
  mount(root: HTMLElement, store: Store): MountedScreen
}
