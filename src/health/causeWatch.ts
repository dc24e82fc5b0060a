import type { Logger } from 'pino'
import type { Cause } from '../api/cause.ts'
import { messageOf } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'

const LOOK_MS = 1000

/**
 * Asks about once a second why the node lags, so that status can answer at once and knows for how
 * long it has been so.
 */
export class CauseWatch {
  readonly #timer: Timer
  #causes: readonly Cause[] = []

  constructor(look: (nowMs: number) => readonly Cause[], clock: Clock, log: Logger) {
    this.#timer = setRepeatingTimer(() => {
      try {
        this.#causes = look(clock.nowMs())
      } catch (error) {
        // What explains must not be what breaks.
        this.#causes = []
        log.debug({ error: messageOf(error) }, 'the causes of lag cannot be told')
      }
    }, LOOK_MS)
  }

  /** At the last look. */
  get causes(): readonly Cause[] {
    return this.#causes
  }

  stop(): void {
    cancelTimer(this.#timer)
    this.#causes = []
  }
}
