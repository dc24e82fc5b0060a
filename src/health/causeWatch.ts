import type { Logger } from 'pino'
import type { Cause } from '../api/cause.ts'
import { messageOf } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'

const LOOK_MS = 1000

/**
 * Asks about once a second why the database lags. So status answers at once, and knows how long a
 * cause has lasted.
 */
export class CauseWatch {
  readonly #timer: Timer
  #causes: readonly Cause[] = []

  constructor(look: (nowMs: number) => readonly Cause[], clock: Clock, log: Logger) {
    this.#timer = setRepeatingTimer(() => {
      try {
        this.#causes = look(clock.nowMs())
      } catch (error) {
        // A failing explanation must not fail the node.
        this.#causes = []
        log.debug({ error: messageOf(error) }, 'cannot tell the causes of lag')
      }
    }, LOOK_MS)
  }

  /** The causes at the last look. */
  get causes(): readonly Cause[] {
    return this.#causes
  }

  stop(): void {
    cancelTimer(this.#timer)
    this.#causes = []
  }
}
