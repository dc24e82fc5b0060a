/** Work that others wait for, until a moment at most. */
import { cancelTimer, monotonicMs, setTimer, type Timer } from './time.ts'

/**
 * What `work` gives; undefined once `monotonicMs()` is `untilMs`. The work goes on then, and its
 * failure is heard by none. Throws what it throws before.
 */
export async function inTime<T>(
  work: Promise<T>,
  untilMs: number,
): Promise<{ readonly value: T } | undefined> {
  let timer: Timer | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimer(() => resolve(undefined), Math.max(0, untilMs - monotonicMs()))
  })
  try {
    return await Promise.race([work.then((value) => ({ value })), late])
  } finally {
    cancelTimer(timer)
  }
}
