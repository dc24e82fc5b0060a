/**
 * `walcast restore` in this process. At the `count`th file operation called `op` the process is
 * killed (`kill`) or the disk is full. At most `pendingBytes` of pages wait in memory.
 */
import { runRestore } from '../../../src/cli/restore.ts'
import { asWalcastError } from '../../../src/errors.ts'
import { createFileOps } from '../../../src/platform/fileOps.ts'
import { optionsOf, say } from './options.ts'

const { args, op, count, kill, pendingBytes } = optionsOf<{
  readonly args: readonly string[]
  readonly op: string
  readonly count: number
  readonly kill: boolean
  readonly pendingBytes: number
}>()
let seen = 0
const ops = createFileOps((step) => {
  if (step !== op || ++seen !== count) return
  if (kill) process.kill(process.pid, 'SIGKILL')
  throw Object.assign(new Error(`ENOSPC: injected into ${step}`), { code: 'ENOSPC' })
})
try {
  say({ code: await runRestore(args, ops, { pendingBytes }) })
} catch (error) {
  say({ failed: asWalcastError(error).code, seen })
}
