/** A store whose questions are given up when their asker is to end: a place may be silent. */
import { WalcastError } from '../../errors.ts'
import type { OpenObject, Store } from './store.ts'

export class EndingStore implements Store {
  readonly #store: Store
  readonly #signal: AbortSignal

  /** Once `signal` aborts, each question throws STOPPING. What was asked may be done anyway. */
  constructor(store: Store, signal: AbortSignal) {
    this.#store = store
    this.#signal = signal
  }

  get name(): string {
    return this.#store.name
  }

  list(prefix: string) {
    return this.#answerTo(this.#store.list(prefix))
  }

  async open(name: string): Promise<OpenObject> {
    const opened = await this.#answerTo(this.#store.open(name))
    return {
      name: opened.name,
      bytes: opened.bytes,
      read: (at, bytes) => this.#answerTo(opened.read(at, bytes)),
      close: () => opened.close(),
    }
  }

  create: Store['create'] = (name, write) => this.#answerTo(this.#store.create(name, write))

  remove(name: string): Promise<void> {
    return this.#answerTo(this.#store.remove(name))
  }

  #answerTo<T>(question: Promise<T>): Promise<T> {
    const signal = this.#signal
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new WalcastError('STOPPING'))
      if (signal.aborted) giveUp()
      signal.addEventListener('abort', giveUp, { once: true })
      const over = () => signal.removeEventListener('abort', giveUp)
      question.then(resolve, reject).finally(over)
    })
  }
}
