/**
 * A terminal on which one picture replaces the other in place. It uses the terminal's second
 * screen, so that what was there before is there again afterwards, also when the process fails.
 */

/** The second screen, no cursor, and long lines end at the edge in place of wrapping. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'
/** A terminal that knows these two shows the picture between them at once. */
const BEGIN = '\x1b[?2026h'
const END = '\x1b[?2026l'
const HOME = '\x1b[H'
/** Clears to the end of the line, and to the end of the screen. */
const REST_OF_LINE = '\x1b[K'
const REST_OF_SCREEN = '\x1b[J'
const USUAL_ROWS = 24

export class WatchScreen {
  readonly #stream: NodeJS.WriteStream
  readonly #onExit = (): void => this.close()
  #isOpen = true

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    process.once('exit', this.#onExit)
    stream.write(ENTER)
  }

  /** Draws over the last picture without clearing it first, which would flicker. */
  show(picture: string): void {
    if (!this.#isOpen) return
    const all = picture.trimEnd().split('\n')
    const rows = Math.max(2, this.#stream.rows || USUAL_ROWS)
    const lines =
      all.length <= rows
        ? all
        : [...all.slice(0, rows - 1), `(${all.length - rows + 1} more lines)`]
    const text = lines.map((line) => `${line}${REST_OF_LINE}`).join('\r\n')
    this.#stream.write(`${BEGIN}${HOME}${text}${REST_OF_SCREEN}${END}`)
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    process.removeListener('exit', this.#onExit)
    this.#stream.write(LEAVE)
  }
}
