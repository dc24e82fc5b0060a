import { setTimeout as delay } from 'node:timers/promises'

/** Asks often at first, then less often, since each question slows the node that is waited for. */
const POLL_MS = 5
const POLL_MAX_MS = 100
/**
 * A wait fails when nothing has moved for so long: it hangs. This does not bound how long things
 * take, since a busy machine may take many times as long as an idle one.
 */
export const PATIENCE_MS = 120_000

/** Called with what `ask` saw: each change restarts the patience. */
export type Saw = (state: string) => void

/**
 * Calls `ask` until it returns something other than undefined or false. When nothing that `ask` saw
 * has changed for `patienceMs`, throws `what` with the last thing seen.
 */
export async function until<T>(
  what: string,
  ask: (saw: Saw) => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<Exclude<T, undefined | false>> {
  let movedMs = performance.now()
  let seen = ''
  const saw = (state: string) => {
    if (state === seen) return
    seen = state
    movedMs = performance.now()
  }
  for (let pauseMs = POLL_MS; ; pauseMs = Math.min(pauseMs * 1.3, POLL_MAX_MS)) {
    const askedMs = performance.now()
    let failure = ''
    try {
      const got = await ask(saw)
      if (got !== undefined && got !== false) return got as Exclude<T, undefined | false>
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
    }
    // One more try after the time is over: this process may have stood still itself.
    if (askedMs - movedMs > patienceMs) {
      const detail = [seen, failure].filter((text) => text !== '').map((text) => `: ${text}`)
      throw new Error(`nothing moved for ${patienceMs} ms: ${what}${detail.join('')}`)
    }
    await delay(pauseMs)
  }
}

/** Returns `promise`, or fails with `what` after `patienceMs`. */
export async function within<T>(
  what: string,
  promise: Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${patienceMs} ms: ${what}`)), patienceMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A time span for bounded loops: `left` turns false after `ms`. */
export function span(ms: number): { readonly left: boolean } {
  const endMs = performance.now() + ms
  return {
    get left() {
      return performance.now() < endMs
    },
  }
}

/** Reproducible random numbers in [0, 1): mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
