/** How far a restore is: on a terminal a line that is replaced, else a line now and then. */
import { cancelTimer, monotonicMs, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { ByteProgress } from './copyProgress.ts'
import { jsonLine, shown } from './queryCommand.ts'

const TERMINAL_MS = 250
const JSON_MS = 1000
const LINE_MS = 10_000

export class RestoreProgressLine {
  readonly #isJson: boolean
  readonly #what: string
  #timer: Timer | undefined
  #bytes = 0

  constructor(what: string, isJson: boolean) {
    this.#what = what
    this.#isJson = isJson
  }

  /** More bytes of the archive were read. */
  add(bytes: number): void {
    this.#bytes += bytes
  }

  begin(total: number): void {
    this.end()
    this.#bytes = 0
    const progress = new ByteProgress(this.#what)
    const isTerminal = process.stderr.isTTY === true && !this.#isJson
    const everyMs = this.#isJson ? JSON_MS : isTerminal ? TERMINAL_MS : LINE_MS
    this.#timer = setRepeatingTimer(() => {
      // Heads and ends of files are read more than once.
      const bytes = Math.min(this.#bytes, total)
      if (this.#isJson) process.stdout.write(jsonLine({ event: 'progress', bytes, total }))
      else {
        const text = shown(progress.next(bytes, total, monotonicMs()))
        process.stderr.write(isTerminal ? `\r\x1b[K${text}` : `${text}\n`)
      }
    }, everyMs)
  }

  end(): void {
    if (this.#timer && process.stderr.isTTY && !this.#isJson) process.stderr.write('\r\x1b[K')
    cancelTimer(this.#timer)
    this.#timer = undefined
  }
}
