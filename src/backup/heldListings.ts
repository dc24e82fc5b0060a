/**
 * Lists of folders that go to readers page by page: all pages of one list are of one moment. A list
 * is kept while its reader asks for more, a few for each reader, so that one who begins many takes
 * no list from others before those fill the bound.
 */
import { randomBytes } from '../platform/random.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import type { StoredObject } from './stores/store.ts'

/** A list that nobody went on with for so long goes. */
const HELD_MS = 60_000
const MAX_OF_READER = 2
const MAX_HELD = 16
/** Of all lists together; the newest one is kept whatever its length. */
const MAX_NAMES = 1_000_000

export interface HeldListing {
  readonly id: string
  /** In the order of their names. */
  readonly objects: readonly StoredObject[]
}

interface Held extends HeldListing {
  readonly reader: string
  readonly folder: string
  readonly timer: Timer
}

export class HeldListings {
  readonly #heldMs: number
  /** By their ids, the one that was asked for least recently first. */
  readonly #held = new Map<string, Held>()

  constructor(heldMs = HELD_MS) {
    this.#heldMs = heldMs
  }

  get size(): number {
    return this.#held.size
  }

  hold(reader: string, folder: string, objects: readonly StoredObject[]): HeldListing {
    const id = randomBytes(8).toString('hex')
    const timer = setTimer(() => this.end(id), this.#heldMs).unref()
    const held = { id, objects, reader, folder, timer }
    this.#held.set(id, held)
    const own = [...this.#held.values()].filter((each) => each.reader === reader)
    for (const { id: old } of own.slice(0, -MAX_OF_READER)) this.end(old)
    for (const old of this.#held.keys()) {
      if (old === id || !this.#isFull()) break
      this.end(old)
    }
    return held
  }

  /** Undefined when it went, and for another reader or folder. */
  find(reader: string, folder: string, id: string): HeldListing | undefined {
    const held = this.#held.get(id)
    if (held?.reader !== reader || held.folder !== folder) return undefined
    held.timer.refresh()
    this.#held.delete(id)
    this.#held.set(id, held)
    return held
  }

  /** Its reader has all of it. */
  end(id: string): void {
    cancelTimer(this.#held.get(id)?.timer)
    this.#held.delete(id)
  }

  #isFull(): boolean {
    const names = [...this.#held.values()].reduce((sum, { objects }) => sum + objects.length, 0)
    return this.#held.size > MAX_HELD || names > MAX_NAMES
  }
}
