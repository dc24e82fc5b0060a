/** The one state of the page. Whoever draws it is told of each change. */
import { type ConsoleState, FIRST_STATE } from './state.ts'

export class Store {
  #state = FIRST_STATE
  readonly #listeners = new Set<(state: ConsoleState) => void>()

  get state(): ConsoleState {
    return this.#state
  }

  change(change: (state: ConsoleState) => ConsoleState): void {
    const next = change(this.#state)
    if (next === this.#state) return
    this.#state = next
    for (const listener of this.#listeners) listener(next)
  }

  /** Calls at once, then at each change, until the function that it gives is called. */
  watch(listener: (state: ConsoleState) => void): () => void {
    this.#listeners.add(listener)
    listener(this.#state)
    return () => this.#listeners.delete(listener)
  }
}
