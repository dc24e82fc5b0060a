/**
 * The output of the demo: events that scroll, and below them a picture that is redrawn in place.
 */
import { monotonicMs } from '../../platform/time.ts'

export interface DemoScreen {
  /** A line that stays. */
  event(text: string): void
  /** The current state: drawn in place on a terminal; elsewhere one line every few seconds. */
  live(picture: string, line: string): void
  /** Leaves the last picture in place; later events follow below it. */
  settle(): void
  /** Removes the last picture. */
  clear(): void
  /** Writes text unchanged. */
  text(text: string): void
  readonly colors: boolean
}

const LINE_EVERY_MS = 3000
const CURSOR_OFF = '\x1b[?25l'
const CURSOR_ON = '\x1b[?25h'

/** The screen for `stream`, or one that shows nothing when it is undefined. */
export function createScreen(
  stream: NodeJS.WriteStream | undefined,
  environment: NodeJS.ProcessEnv,
): DemoScreen {
  if (!stream) return new NoScreen()
  const isTerminal = stream.isTTY && environment['TERM'] !== 'dumb'
  return isTerminal ? new TerminalScreen(stream, !environment['NO_COLOR']) : new LineScreen(stream)
}

class NoScreen implements DemoScreen {
  readonly colors = false
  event(): void {}
  live(): void {}
  settle(): void {}
  clear(): void {}
  text(): void {}
}

class LineScreen implements DemoScreen {
  readonly colors = false
  readonly #stream: NodeJS.WriteStream
  #shownMs = monotonicMs()

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  event(text: string): void {
    this.#stream.write(`${text}\n`)
  }

  live(_picture: string, line: string): void {
    if (monotonicMs() - this.#shownMs < LINE_EVERY_MS) return
    this.#shownMs = monotonicMs()
    this.#stream.write(`${line}\n`)
  }

  settle(): void {}

  clear(): void {}

  text(text: string): void {
    this.#stream.write(text)
  }
}

class TerminalScreen implements DemoScreen {
  readonly colors: boolean
  readonly #stream: NodeJS.WriteStream
  #picture = ''

  constructor(stream: NodeJS.WriteStream, colors: boolean) {
    this.#stream = stream
    this.colors = colors
  }

  event(text: string): void {
    this.#stream.write(`${this.#wipe()}${text}\n${this.#picture}`)
  }

  live(picture: string): void {
    const fitted = fit(picture, this.#stream.columns, this.#stream.rows)
    this.#stream.write(`${CURSOR_OFF}${this.#wipe()}${fitted}`)
    this.#picture = fitted
  }

  settle(): void {
    this.#stream.write(`${this.#picture && '\n'}${CURSOR_ON}`)
    this.#picture = ''
  }

  clear(): void {
    this.#stream.write(`${this.#wipe()}${CURSOR_ON}`)
    this.#picture = ''
  }

  text(text: string): void {
    this.#stream.write(text)
  }

  /** Moves to the picture's first line and clears everything below. */
  #wipe(): string {
    const lines = this.#picture.split('\n').length - 1
    return lines > 0 ? `\x1b[${lines}A\r\x1b[J` : ''
  }
}

/**
 * Cuts off what would wrap or scroll, since either would misplace the next picture. Pictures have
 * no colours.
 */
function fit(picture: string, columns: number, rows: number): string {
  const lines = picture
    .trimEnd()
    .split('\n')
    .slice(0, Math.max(1, rows - 1))
  return lines.map((line) => `${line.slice(0, columns - 1)}\n`).join('')
}
