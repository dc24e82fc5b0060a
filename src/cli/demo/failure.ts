import { WalcastError } from '../../errors.ts'

/** Why the demo cannot go on, as the catalogue's DEMO_FAILED. */
export class DemoFailure extends WalcastError {
  /** The lines that people need to see first; undefined when it could be any process's. */
  readonly log: string | undefined

  constructor(detail: string, log?: string, cause?: unknown) {
    super('DEMO_FAILED', { detail }, cause)
    this.log = log
  }
}

/** The user, or whoever reads the output, has had enough: nothing failed. */
export class DemoInterrupted extends Error {
  override readonly name = 'DemoInterrupted'
}
