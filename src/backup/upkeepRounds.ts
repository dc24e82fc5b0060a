/** Rounds over all places, one place at a time: each round has the node's disk to itself. */
import { delay } from '../platform/time.ts'
import type { PlaceUpkeep } from './placeUpkeep.ts'

export class UpkeepRounds {
  readonly #places: readonly PlaceUpkeep[]
  readonly #everyMs: number
  readonly #ending = new AbortController()
  #running: Promise<void> | undefined

  constructor(places: readonly PlaceUpkeep[], everyMs: number) {
    this.#places = places
    this.#everyMs = everyMs
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends after the step that runs. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      await delay(this.#everyMs, { signal, ref: false }).catch(() => {})
      for (const place of this.#places) await place.round(signal)
    }
  }
}
