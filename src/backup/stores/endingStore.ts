/** A store whose questions are given up once their asker is to end: a place may be silent. */
import { WalcastError } from '../../errors.ts'
import type { OpenObject, Store } from './store.ts'

export class EndingStore implements Store {
  readonly #store: Store
  readonly #signal: AbortSignal
  /** Of each question that waits. */
  readonly #givingUp = new Set<() => void>()

  /** Once `signal` aborts, each question throws STOPPING. What was asked may yet be done. */
  constructor(store: Store, signal: AbortSignal) {
    this.#store = store
    this.#signal = signal
    signal.addEventListener('abort', () => {
      for (const giveUp of this.#givingUp) giveUp()
    })
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
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new WalcastError('STOPPING'))
      if (this.#signal.aborted) giveUp()
      this.#givingUp.add(giveUp)
      question.then(resolve, reject).finally(() => this.#givingUp.delete(giveUp))
    })
  }
}
