/** Looks again and again, for a service that cannot tell of changes. */
import { cancelTimer, monotonicMs, setTimer, type Timer } from '../../../platform/time.ts'

export interface Polls {
  /** From the end of a look to the next, in milliseconds. */
  readonly everyMs: number
  /** What is there, as a text that is compared. It may throw: then nothing can be told. */
  readonly look: () => Promise<string>
  /** When what was seen last changes by the clock alone, by `monotonicMs()`. */
  readonly changesAtMs: () => number | undefined
  /** After the first look, after each change, and after looks that failed. */
  readonly onChange: () => void
  readonly signal: AbortSignal
}

/** Two looks at one moment tell nothing new. */
const SHORTEST_MS = 1

/** The timer does not keep the process alive. */
export function watchByPolls({ everyMs, look, changesAtMs, onChange, signal }: Polls): void {
  let timer: Timer | undefined
  let known: string | undefined
  // What was there before the first look cannot be told.
  let hasFailed = true

  const poll = async () => {
    try {
      const state = await look()
      const isNews = hasFailed || state !== known
      hasFailed = false
      known = state
      if (isNews && !signal.aborted) onChange()
    } catch {
      // A caller that needs to know why asks itself.
      hasFailed = true
    }
    if (!signal.aborted) timer = setTimer(() => void poll(), pauseMs()).unref()
  }

  /** A lease is seen to end when it ends, and not at the poll after that. */
  const pauseMs = () => {
    const changesInMs = (changesAtMs() ?? Infinity) - monotonicMs()
    return changesInMs > 0
      ? Math.max(SHORTEST_MS, Math.min(everyMs, Math.ceil(changesInMs)))
      : everyMs
  }

  signal.addEventListener('abort', () => cancelTimer(timer), { once: true })
  if (!signal.aborted) void poll()
}
