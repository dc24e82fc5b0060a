/** What happened in a simulation, a line each: the same seed gives the same lines. */
import { checksumHex, xxh64 } from '../../src/xxh64.ts'
import type { Scheduler } from './scheduler.ts'

export class Trace {
  readonly #scheduler: Scheduler
  readonly lines: string[] = []

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  add(who: string, what: string): void {
    this.lines.push(`${this.#scheduler.elapsedMs.toFixed(3).padStart(11)} ${who} ${what}`)
  }

  get text(): string {
    return `${this.lines.join('\n')}\n`
  }
}

/** The content of a message or a page, short. */
export function digest(bytes: Uint8Array): string {
  return checksumHex(xxh64(bytes, 0n)).slice(0, 8)
}
