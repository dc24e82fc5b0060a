/** A place for progress that keeps what is written to it, and a time that passes when told to. */
import type { TestContext } from 'node:test'
import type { ProgressStream } from '../../src/cli/progressOutput.ts'
import { replaceTime, type Timer } from '../../src/platform/time.ts'
import { shiftedTime } from './shiftedTime.ts'

export interface Written {
  readonly stream: ProgressStream
  all(): string
  /** Whole lines of it. */
  lines(): string[]
}

export function written(as: { readonly isTTY: boolean; readonly columns: number }): Written {
  let text = ''
  const write = (more: string | Uint8Array) => {
    text += String(more)
    return true
  }
  const stream: ProgressStream = { ...as, write }
  return { stream, all: () => text, lines: () => text.split('\n').slice(0, -1) }
}

interface Repeating extends Timer {
  readonly then: () => void
  readonly everyMs: number
  nextMs: number
}

/** Until the test ends. */
export class SteppedTime {
  #nowMs = 0
  #timers: Repeating[] = []

  constructor(t: TestContext) {
    const restore = replaceTime({
      ...shiftedTime().source,
      monotonicMs: () => this.#nowMs,
      setRepeatingTimer: (then, everyMs) => {
        const timer: Repeating = {
          ...{ then, everyMs, nextMs: this.#nowMs + everyMs },
          unref: () => timer,
          refresh: () => timer,
        }
        this.#timers.push(timer)
        return timer
      },
      cancelTimer: (timer) => {
        this.#timers = this.#timers.filter((each) => each !== timer)
      },
    })
    t.after(restore)
  }

  pass(ms: number): void {
    const endMs = this.#nowMs + ms
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.nextMs - b.nextMs)
      if (!next || next.nextMs > endMs) break
      this.#nowMs = next.nextMs
      next.nextMs += next.everyMs
      next.then()
    }
    this.#nowMs = endMs
  }
}
