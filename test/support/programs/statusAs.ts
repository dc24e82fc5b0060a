/**
 * `walcast status` as another user. Everything is loaded before: that user may not be able to read
 * the program.
 */
import { reportFailure } from '../../../src/cli/failureReport.ts'
import { runStatus } from '../../../src/cli/status.ts'
import { become } from './become.ts'
import { optionsOf } from './options.ts'

const { uid, args } = optionsOf<{ uid: number; args: readonly string[] }>()
become(uid, uid)
process.exitCode = await runStatus(args).catch((error: unknown) => {
  reportFailure(error)
  return 1
})
