/** Asks the node again and again, so long after each answer, until it is closed. */
import { setTimer } from './browser.ts'
import { asRefusal } from './requests.ts'

export class Poll {
  readonly #read: () => Promise<void>
  readonly #onRead: (failure: string) => void
  readonly #pauseMs: number
  #cancel: () => void = () => {}
  #isClosed = false

  /** `read` throws Refusal. `onRead` hears why it failed; '' when it did not. */
  constructor(read: () => Promise<void>, onRead: (failure: string) => void, pauseMs: number) {
    this.#read = read
    this.#onRead = onRead
    this.#pauseMs = pauseMs
    void this.#ask()
  }

  close(): void {
    this.#isClosed = true
    this.#cancel()
  }

  async #ask(): Promise<void> {
    let failure = ''
    try {
      await this.#read()
    } catch (error) {
      failure = asRefusal(error).message
    }
    if (this.#isClosed) return
    this.#onRead(failure)
    this.#cancel = setTimer(() => void this.#ask(), this.#pauseMs)
  }
}
