/**
 * Tells of changes of a lease by Consul's blocking queries: a request that Consul answers when
 * something has changed since an index, or when the wait is over
 * (https://developer.hashicorp.com/consul/api-docs/features/blocking). Its rules:
 *
 * - An answer may come though nothing has changed.
 * - An index that goes back, as after a restore, begins anew at 0.
 * - An index below 1 is no index.
 */
import { Backoff } from '../../../platform/backoff.ts'
import { delay, monotonicMs } from '../../../platform/time.ts'
import type { ConsulAgent } from './agent.ts'
import { type ConsulKeys, keyPath, LEASE_BYTES, lookAt, storedKeys } from './keys.ts'

/** A connection that died in silence hides changes for no longer. */
const WAIT_MS = 10_000
/** Consul adds up to this to a wait, so that not all end at once. */
const WAIT_SPREAD = 1 / 16
/** Between answers that tell nothing new. */
const IDLE_MS = 100
const MIN_RETRY_MS = 100
const MAX_RETRY_MS = 2000

export class LeaseWatch {
  readonly #agent: ConsulAgent
  readonly #keys: ConsulKeys
  readonly #timeoutMs: number

  constructor(agent: ConsulAgent, keys: ConsulKeys, timeoutMs: number) {
    this.#agent = agent
    this.#keys = keys
    this.#timeoutMs = timeoutMs
  }

  /** Until `signal` aborts. The first answer, and the first after each failure, is a change. */
  async run(onChange: () => void, signal: AbortSignal): Promise<void> {
    const retries = new Backoff(MIN_RETRY_MS, MAX_RETRY_MS)
    let index = 0
    let mark: string | undefined
    while (!signal.aborted) {
      try {
        const seen = await this.#next(index, signal)
        retries.reset()
        index = seen.index < index ? 0 : seen.index
        if (seen.mark === mark) await pause(IDLE_MS, signal)
        else if (!signal.aborted) onChange()
        mark = seen.mark
      } catch {
        index = 0
        mark = undefined
        await pause(retries.nextMs(), signal)
      }
    }
  }

  async #next(
    index: number,
    signal: AbortSignal,
  ): Promise<{ readonly index: number; readonly mark: string }> {
    const waitMs = index === 0 ? 0 : WAIT_MS * (1 + WAIT_SPREAD)
    const answer = await this.#agent.request({
      method: 'GET',
      path: keyPath(this.#keys.lease),
      query: {
        recurse: '',
        ...(index === 0 ? {} : { index: String(index), wait: `${WAIT_MS}ms` }),
      },
      maxBytes: LEASE_BYTES,
      untilMs: monotonicMs() + waitMs + this.#timeoutMs,
      signal,
    })
    const { mark } = lookAt(this.#agent, this.#keys, storedKeys(this.#agent, answer))
    const next = Number(answer.index)
    if (!Number.isSafeInteger(next) || next < 1) throw this.#agent.away('it tells no index')
    return { index: next, mark }
  }
}

/** Ends early, and without failing, when `signal` aborts. */
async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(delayMs, { signal })
  } catch {
    // Aborted.
  }
}
