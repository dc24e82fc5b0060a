/** A store that is read at a bounded rate, so that a drill leaves disks and links to others. */
import { delay, monotonicMs } from '../../platform/time.ts'
import type { OpenObject, Store } from '../stores/store.ts'

export class PacedStore implements Store {
  readonly #store: Store
  /** Bytes a ms. */
  readonly #rate: number
  #freeAtMs = 0
  #bytes = 0

  /** `rate`: bytes a second. */
  constructor(store: Store, rate: number) {
    this.#store = store
    this.#rate = rate / 1000
  }

  get name(): string {
    return this.#store.name
  }

  /** Bytes that were read so far. */
  get bytes(): number {
    return this.#bytes
  }

  list(prefix: string) {
    return this.#store.list(prefix)
  }

  async open(name: string): Promise<OpenObject> {
    const opened = await this.#store.open(name)
    return {
      name: opened.name,
      bytes: opened.bytes,
      read: async (at, bytes) => {
        await this.#pause(bytes)
        return opened.read(at, bytes)
      },
      close: () => opened.close(),
    }
  }

  create: Store['create'] = (name, write) => this.#store.create(name, write)

  remove(name: string): Promise<void> {
    return this.#store.remove(name)
  }

  /** Reads that wait go one after another. */
  async #pause(bytes: number): Promise<void> {
    const nowMs = monotonicMs()
    const fromMs = Math.max(nowMs, this.#freeAtMs)
    this.#freeAtMs = fromMs + bytes / this.#rate
    this.#bytes += bytes
    if (fromMs > nowMs) await delay(fromMs - nowMs)
  }
}
