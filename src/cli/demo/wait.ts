/**
 * Waiting in the demo. Aborting `signal` ends every wait at once, with the signal's reason.
 */

import { delay, monotonicMs } from '../../platform/time.ts'
import { DemoFailure } from './failure.ts'

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, { signal })
  } catch {
    signal.throwIfAborted()
  }
}

/**
 * Asks again every `everyMs` until there is an answer. Throws DEMO_FAILED, naming `what`, after
 * `timeoutMs`.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  limits: { readonly everyMs: number; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<T> {
  const endMs = monotonicMs() + limits.timeoutMs
  while (monotonicMs() < endMs) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await pause(limits.everyMs, limits.signal)
  }
  throw new DemoFailure(`${what} took more than ${limits.timeoutMs / 1000} s`)
}
