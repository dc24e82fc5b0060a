/** How far the reading of an archive is, in bytes. */
import type { ProgressOutput } from './progressOutput.ts'

export class ReadProgress {
  readonly #output: ProgressOutput
  #phase: string | undefined
  #total: number | undefined
  #bytes = 0

  constructor(output: ProgressOutput) {
    this.#output = output
  }

  /** `total`: bytes that will be read; left out where that is not known. */
  begin(phase: string, total?: number): void {
    this.#output.end()
    this.#phase = phase
    this.#total = total
    this.#bytes = 0
    this.add(0)
  }

  /** More bytes of the archive were read. */
  readonly add = (bytes: number): void => {
    this.#bytes += bytes
    if (this.#phase === undefined) return
    const total = this.#total
    // Heads and ends of files are read more than once.
    const done = Math.min(this.#bytes, total ?? Number.POSITIVE_INFINITY)
    this.#output.show({ phase: this.#phase, done, total, unit: 'bytes' })
  }

  /** What was read is compared now. */
  rows(phase: string, done: number, total: number): void {
    this.#output.show({ phase, done, total, unit: 'rows' })
  }

  /** Before something else is written to the terminal. */
  clear(): void {
    this.#output.clear()
  }

  say(text: string): void {
    this.#output.say(text)
  }

  end(): void {
    this.#phase = undefined
    this.#output.end()
  }
}
