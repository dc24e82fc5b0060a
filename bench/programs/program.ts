/**
 * What the bench's small programs have in common. Each runs as a process of its own: it says
 * `ready` on standard output, begins when a line comes on standard input, and ends with one line of
 * JSON.
 */
import { parseArgs } from 'node:util'

/** Flags of the form `--name value`; throws on a missing one. */
export class Flags {
  readonly #values: Record<string, string | undefined>

  constructor(names: readonly string[]) {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
    this.#values = parseArgs({ options }).values as Record<string, string | undefined>
  }

  text(name: string): string {
    const value = this.#values[name]
    if (value === undefined) throw new Error(`--${name} is missing`)
    return value
  }

  number(name: string): number {
    const value = Number(this.text(name))
    if (!Number.isFinite(value)) throw new Error(`--${name} is no number`)
    return value
  }
}

/** Prints `ready` and waits for the line to begin. */
export function readyThenGo(): Promise<void> {
  return sayThenGo('ready')
}

/** Prints a word and waits for a line. */
export async function sayThenGo(word: string): Promise<void> {
  const go = new Promise<void>((resolve, reject) => {
    process.stdin.once('data', () => resolve())
    process.stdin.once('end', () => reject(new Error('standard input ended before the start')))
  })
  process.stdin.resume()
  process.stdout.write(`${word}\n`)
  await go
  process.stdin.pause()
}

export function report(result: Readonly<Record<string, number | string>>): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/**
 * Sleeps without using CPU and without the event loop: nothing may be pending. Takes fractions of a
 * millisecond; Linux adds about 0.05 ms of timer slack.
 */
export function sleepMs(ms: number): void {
  Atomics.wait(sleeper, 0, 0, ms)
}

/** Sleeps like sleepMs until the monotonic clock shows `ns`. Returns at once when that is past. */
export function sleepUntil(ns: bigint): void {
  for (;;) {
    const leftNs = Number(ns - process.hrtime.bigint())
    if (leftNs <= 0) return
    sleepMs(leftNs / 1e6)
  }
}
