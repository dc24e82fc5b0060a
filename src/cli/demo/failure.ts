/** How the demo ends without a result. */
import { WalcastError } from '../../errors.ts'

/** Why the demo cannot go on, as the catalogue's DEMO_FAILED. */
export class DemoFailure extends WalcastError {
  /** The log lines to show; undefined shows those of all processes. */
  readonly log: string | undefined

  constructor(detail: string, log?: string, cause?: unknown) {
    super('DEMO_FAILED', { detail }, cause)
    this.log = log
  }
}

/** The user interrupted, or the reader of the output left: nothing failed. */
export class DemoInterrupted extends Error {
  override readonly name = 'DemoInterrupted'
}
