/** The one line on standard error with which a failed command ends. */
import { asWalcastError } from '../errors.ts'
import { shown } from './queryCommand.ts'

/** With WALCAST_DEBUG set, the stack follows. */
export function reportFailure(error: unknown): void {
  process.stderr.write(`${shown(asWalcastError(error).line)}\n`)
  if (process.env['WALCAST_DEBUG'] && error instanceof Error)
    process.stderr.write(`${error.stack}\n`)
}
