/**
 * Whoever reads the output may leave, as `head` does: the work goes on, and nothing is said. A
 * standard output that cannot be written, say for a full disk, is a failure of the command.
 */
import { systemCode, writeError } from '../errors.ts'
import { reportFailure } from './failureReport.ts'

export function tolerateLostReaders(): void {
  let failure: unknown
  process.stdout.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') failure ??= error
  })
  // Nobody is left to be told.
  process.stderr.on('error', () => {})
  process.once('exit', () => {
    // A command that failed has said why.
    if (failure === undefined || process.exitCode !== 0) return
    process.exitCode = 1
    reportFailure(writeError('standard output', failure))
  })
}
