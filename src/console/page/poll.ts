/**
 * Asks the node again and again, so long after each answer, until it is closed. A page that nobody
 * sees asks nothing, so that its session can go idle. It asks at once when it is seen again. Pure.
 */

export interface PollParts {
  /** Throws Refusal. */
  read(): Promise<void>
  /** Hears what `read` threw; undefined when it did not. */
  onRead(error: unknown): void
  readonly pauseMs: number
}

/** What it takes of the browser. */
export interface PollBrowser {
  /** Whether the page is in sight. */
  isSeen(): boolean
  watchSight(onChange: () => void): () => void
  setTimer(then: () => void, delayMs: number): () => void
}

export class Poll {
  readonly #parts: PollParts
  readonly #browser: PollBrowser
  readonly #endWatch: () => void
  #cancel: () => void = () => {}
  #isAsking = false
  #isClosed = false

  constructor(parts: PollParts, browser: PollBrowser) {
    this.#parts = parts
    this.#browser = browser
    this.#endWatch = browser.watchSight(() => this.#onSight())
    this.#onSight()
  }

  close(): void {
    this.#isClosed = true
    this.#endWatch()
    this.#cancel()
  }

  #onSight(): void {
    this.#cancel()
    if (this.#browser.isSeen() && !this.#isAsking) void this.#ask()
  }

  async #ask(): Promise<void> {
    const { read, onRead, pauseMs } = this.#parts
    this.#isAsking = true
    let thrown: unknown
    try {
      await read()
    } catch (error) {
      thrown = error
    }
    this.#isAsking = false
    if (this.#isClosed) return
    onRead(thrown)
    if (this.#browser.isSeen())
      this.#cancel = this.#browser.setTimer(() => void this.#ask(), pauseMs)
  }
}
