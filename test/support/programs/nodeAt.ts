/**
 * A node in this process that ends itself with SIGKILL just before the n-th file operation `op`, counted from the line `arm` on
 * standard input. Otherwise as the command line with the same arguments.
 */
import { createFileOps } from '../../../src/fileOps.ts'
import { optionsOf, say } from './options.ts'
import { runNodeWith } from './runNodeWith.ts'

const { args, op, count } = optionsOf<{ args: readonly string[]; op: string; count: number }>()
let isArmed = false
let seen = 0

const ops = createFileOps((step) => {
  if (!isArmed || step !== op || ++seen !== count) return
  say({ dying: op })
  process.kill(process.pid, 'SIGKILL')
})
process.stdin.once('data', () => {
  isArmed = true
  say({ armed: op })
})
await runNodeWith(ops, args)
