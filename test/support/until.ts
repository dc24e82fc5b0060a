import { setTimeout as delay } from 'node:timers/promises'

/** Asked often at first; what takes long is asked less often, since each question of a node takes from what it waits for. */
const POLL_MS = 5
const POLL_MAX_MS = 40

/** Asks `ask` again and again until it gives something other than undefined or false. Throws with `what` after `timeoutMs`. */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<Exclude<T, undefined | false>> {
  const endMs = performance.now() + timeoutMs
  let last: unknown
  for (let pauseMs = POLL_MS; ; pauseMs = Math.min(pauseMs * 1.3, POLL_MAX_MS)) {
    try {
      const got = await ask()
      if (got !== undefined && got !== false) return got as Exclude<T, undefined | false>
      last = got
    } catch (error) {
      last = error
    }
    if (performance.now() > endMs) {
      const detail = last instanceof Error ? `: ${last.message}` : ''
      throw new Error(`not within ${timeoutMs} ms: ${what}${detail}`)
    }
    await delay(pauseMs)
  }
}

/** `promise`, or a failure that says `what` after `timeoutMs`. */
export async function within<T>(what: string, promise: Promise<T>, timeoutMs = 20_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${timeoutMs} ms: ${what}`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Counts down by itself: `left` turns false after `ms`. For bounded loops. */
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
