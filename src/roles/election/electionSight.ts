/** What this node sees in the lock service: who holds the lease, and since when nobody does. */
import { messageOf } from '../../errors.ts'
import { monotonicMs } from '../../platform/time.ts'
import type { Term } from './electionRecord.ts'
import type { ElectionSeal } from './electionSeal.ts'
import type { LeaseService } from './leaseService.ts'

export interface Sight {
  readonly isHeld: boolean
  /** Undefined when nothing was written, or nothing that this node can read. */
  readonly term: Term | undefined
  /** Something was written that this node cannot read, or what was there before. */
  readonly isForeign: boolean
  readonly mark: string
  /** By the monotonic clock: since when nobody holds it; undefined while somebody does. */
  readonly freeSinceMs: number | undefined
}

export class ElectionSight {
  readonly #service: LeaseService
  readonly #seal: ElectionSeal
  readonly #onChange: () => void
  readonly #isBelieved: (epoch: number) => boolean
  /** Epoch and serial of the latest term that was seen. */
  #latest: readonly [number, number] = [0, 0]
  readonly #end = new AbortController()
  #sight: Sight | undefined
  /** Something may have changed since. */
  #isStale = true
  #away: { readonly sinceMs: number; readonly detail: string } | undefined

  /** `onChange` is called when it is time to look. `isBelieved` judges epochs. */
  constructor(
    service: LeaseService,
    seal: ElectionSeal,
    onChange: () => void,
    isBelieved: (epoch: number) => boolean,
  ) {
    this.#isBelieved = isBelieved
    this.#service = service
    this.#seal = seal
    this.#onChange = onChange
  }

  begin(): void {
    this.#service.watch(() => {
      this.#isStale = true
      this.#onChange()
    }, this.#end.signal)
  }

  stop(): void {
    this.#end.abort()
  }

  /** What was seen last; undefined before the first time. */
  get last(): Sight | undefined {
    return this.#sight
  }

  /** Whether a look may tell something new. */
  get isStale(): boolean {
    return this.#isStale
  }

  /** Since when, by the monotonic clock, the service does not answer, and why. */
  get away(): { readonly sinceMs: number; readonly detail: string } | undefined {
    return this.#away
  }

  onAnswered(): void {
    this.#away = undefined
  }

  onFailed(error: unknown): void {
    const sinceMs = this.#away?.sinceMs ?? monotonicMs()
    this.#away = { sinceMs, detail: messageOf(error) }
    this.#isStale = true
  }

  /** Throws ELECTION_AWAY. */
  async look(): Promise<Sight> {
    this.#isStale = false
    try {
      const { value, isHeld, mark } = await this.#service.look()
      const term = value === undefined ? undefined : this.#believed(this.#seal.termIn(value))
      const freeSinceMs = isHeld ? undefined : (this.#freeSince(mark) ?? monotonicMs())
      const isForeign = value !== undefined && term === undefined
      this.#sight = { isHeld, term, isForeign, mark, freeSinceMs }
      this.onAnswered()
      return this.#sight
    } catch (error) {
      this.onFailed(error)
      throw error
    }
  }

  /** Undefined for a number that is not believed, and for one that was put back. */
  #believed(term: Term | undefined): Term | undefined {
    if (!term || !this.#isBelieved(term.epoch)) return undefined
    const [epoch, serial] = this.#latest
    if (term.epoch < epoch || (term.epoch === epoch && term.serial < serial)) return undefined
    this.#latest = [term.epoch, term.serial]
    return term
  }

  /** Taken and let go between two looks, it is free since the second one. */
  #freeSince(mark: string): number | undefined {
    return this.#sight?.mark === mark ? this.#sight.freeSinceMs : undefined
  }
}
