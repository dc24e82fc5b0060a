/**
 * Slows down who tries wrong tokens, by address. Each wrong one counts, and a count falls with
 * time. The first few are answered late, each later than the one before. Past a bound they are
 * refused at once and told when to come back. Right tokens from the same address never wait: nobody
 * can lock a program out by guessing beside it.
 */
import { delay, monotonicMs } from '../platform/time.ts'

export interface AttemptLimits {
  /** Wrong ones of one address that are answered late. Past that they are refused. */
  readonly burst: number
  /** One wrong one is forgotten after so long. */
  readonly forgetMs: number
  /** The wait of the first, doubled with each. */
  readonly firstDelayMs: number
  readonly maxDelayMs: number
  /** Answers that wait at the same time, of all addresses. */
  readonly maxDelayed: number
  /** Addresses that are remembered. The one that was quiet for longest is forgotten first. */
  readonly maxAddresses: number
}

export const ATTEMPT_LIMITS: AttemptLimits = {
  burst: 10,
  forgetMs: 6000,
  firstDelayMs: 20,
  maxDelayMs: 1000,
  maxDelayed: 64,
  maxAddresses: 1024,
}

interface Count {
  readonly failures: number
  readonly atMs: number
}

export class FailedAttempts {
  readonly #limits: AttemptLimits
  /** The address that failed last comes last. */
  readonly #counts = new Map<string, Count>()
  #delayed = 0

  constructor(limits: AttemptLimits = ATTEMPT_LIMITS) {
    this.#limits = limits
  }

  /** Addresses that are remembered. */
  get size(): number {
    return this.#counts.size
  }

  /** Answers that wait now. */
  get delayed(): number {
    return this.#delayed
  }

  /**
   * Counts a wrong token. Resolves with 0 when it is time to answer, or at once with the seconds
   * after which the address may try again.
   */
  async add(address: string): Promise<number> {
    const { burst, forgetMs, firstDelayMs, maxDelayMs, maxDelayed } = this.#limits
    const before = this.#failuresOf(address)
    // What is refused at once does not count, or a program that never stops would never be let in.
    const over = before - (burst - 1)
    if (over > 0) return Math.ceil((over * forgetMs) / 1000)
    this.#remember(address, before + 1)
    if (this.#delayed >= maxDelayed) return 1
    this.#delayed++
    try {
      await delay(Math.min(maxDelayMs, firstDelayMs * 2 ** Math.floor(before)), { ref: false })
    } finally {
      this.#delayed--
    }
    return 0
  }

  #failuresOf(address: string): number {
    const count = this.#counts.get(address)
    if (!count) return 0
    return Math.max(0, count.failures - (monotonicMs() - count.atMs) / this.#limits.forgetMs)
  }

  #remember(address: string, failures: number): void {
    this.#counts.delete(address)
    this.#counts.set(address, { failures, atMs: monotonicMs() })
    const [oldest] = this.#counts.keys()
    if (this.#counts.size > this.#limits.maxAddresses) this.#counts.delete(oldest)
  }
}
