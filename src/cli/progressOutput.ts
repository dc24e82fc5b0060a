/**
 * Where commands tell how far they are: standard error, since standard output is for data. On a
 * terminal one line that is replaced and cleared at the end, elsewhere a line now and then, and
 * with --json an object a line.
 */
import { cancelTimer, monotonicMs, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { cutMiddle } from './displayWidth.ts'
import {
  type Pace,
  PaceMeter,
  type Progress,
  progressBar,
  progressJson,
  progressText,
} from './progress.ts'
import { jsonLine, shown } from './queryCommand.ts'
import { lookOf } from './terminalLook.ts'

export type ProgressStream = Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>

/** How often it is told, ms. The first time comes after as long: what is quick tells nothing. */
const TERMINAL_MS = 250
const JSON_MS = 1000
const LOG_MS = 10_000
/** Of that time: a timer may be early. */
const EARLY = 0.9
/**
 * Clears what is right of the cursor, which waits at the left: whatever else is written begins a
 * line.
 */
const CLEAR = '\x1b[K'

interface Form {
  readonly everyMs: number
  /** What is written for it. */
  text(progress: Progress, pace: Pace): string
  /** Whether the line stays only until the next one. */
  readonly isReplaced: boolean
}

const JSON_LINES: Form = {
  everyMs: JSON_MS,
  text: (progress, pace) => jsonLine(progressJson(progress, pace)),
  isReplaced: false,
}
const LOG_LINES: Form = {
  everyMs: LOG_MS,
  text: (progress, pace) => `${shown(progressText(progress, pace))}\n`,
  isReplaced: false,
}

function barOn(stream: ProgressStream, environment: NodeJS.ProcessEnv): Form {
  return {
    everyMs: TERMINAL_MS,
    text: (progress, pace) => {
      // The last column stays free: some terminals wrap once it is written to.
      const columns = lookOf(stream, environment).columns - 1
      return `${shown(progressBar(progress, pace, columns))}${CLEAR}\r`
    },
    isReplaced: true,
  }
}

export class ProgressOutput {
  readonly #stream: ProgressStream
  readonly #form: Form
  #meter = new PaceMeter()
  #last: Progress | undefined
  #told = 0
  #timer: Timer | undefined
  #isDrawn = false

  constructor(
    isJson: boolean,
    stream: ProgressStream = process.stderr,
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    this.#stream = stream
    const hasLine = stream.isTTY && environment['TERM'] !== 'dumb'
    this.#form = isJson ? JSON_LINES : hasLine ? barOn(stream, environment) : LOG_LINES
  }

  /** To be called as often as there is something new, also by work that lets no timer run. */
  show(progress: Progress): void {
    const nowMs = monotonicMs()
    if (this.#last === undefined) this.#begin(nowMs)
    if (this.#last?.phase !== progress.phase) {
      this.#meter = new PaceMeter()
      this.#meter.next(progress, nowMs)
    }
    this.#last = progress
    this.#tell(nowMs)
  }

  /** Of a wait that nothing measures: what it waits for, on a terminal only. */
  wait(text: string): void {
    if (!this.#form.isReplaced) return
    const columns = lookOf(this.#stream, process.env).columns - 1
    this.#stream.write(`${cutMiddle(shown(text), columns)}${CLEAR}\r`)
    this.#isDrawn = true
  }

  /** A line that stays, such as a warning. */
  say(text: string): void {
    this.clear()
    this.#stream.write(text)
  }

  /** Before something else is written to the terminal. The line comes back by itself. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write(CLEAR)
    this.#isDrawn = false
  }

  /** Takes the line away. What is shown afterwards begins anew. */
  end(): void {
    cancelTimer(this.#timer)
    this.#timer = undefined
    this.#last = undefined
    this.clear()
  }

  #begin(nowMs: number): void {
    this.#told = nowMs
    // Also of what stalls is told that it does.
    this.#timer = setRepeatingTimer(() => this.#tell(monotonicMs(), EARLY), this.#form.everyMs)
    this.#timer.unref()
  }

  #tell(nowMs: number, least = 1): void {
    if (!this.#last || nowMs - this.#told < least * this.#form.everyMs) return
    this.#told = nowMs
    this.#stream.write(this.#form.text(this.#last, this.#meter.next(this.#last, nowMs)))
    this.#isDrawn = this.#form.isReplaced
  }
}
