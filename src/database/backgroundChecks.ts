/**
 * What goes on beside the engine of a role: the scrub of what is on disk, and the search for the
 * causes of lag.
 */
import type { Cause } from '../api/cause.ts'
import { CauseWatch } from '../health/causeWatch.ts'
import { DatabaseScrub, type ScrubbedEngine } from './databaseScrub.ts'
import type { EngineParts, EngineStatus } from './engine.ts'

export class BackgroundChecks {
  readonly scrub: DatabaseScrub
  readonly #causes: CauseWatch

  /** `explain` says why the node lags; asked about once a second. */
  constructor(
    parts: EngineParts,
    explain: (nowMs: number) => readonly Cause[],
    engine: ScrubbedEngine,
  ) {
    this.#causes = new CauseWatch(explain, parts.clock, parts.setup.log)
    this.scrub = new DatabaseScrub(parts, engine)
  }

  get causes(): readonly Cause[] {
    return this.#causes.causes
  }

  get status(): Required<Pick<EngineStatus, 'causes' | 'scrub'>> {
    return { causes: this.causes, scrub: this.scrub.report }
  }

  /** Ends, and then has the engine end in one way or another. */
  async endWith<T>(end: () => Promise<T>): Promise<T> {
    this.#causes.stop()
    await this.scrub.stop()
    return end()
  }
}
