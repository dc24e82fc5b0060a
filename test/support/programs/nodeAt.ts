/**
 * `walcast node` in this process, which kills itself when told to. A line `{"op", "count"}` on
 * standard input means: SIGKILL just before the `count`-th file operation `op` from now on.
 */
import { createInterface } from 'node:readline'
import { createFileOps, runNodeWith } from './bundledNode.ts'
import { optionsOf, say } from './options.ts'

const { args } = optionsOf<{ args: readonly string[] }>()
let fatal: { readonly op: string; readonly count: number } | undefined
let seen = 0

const ops = createFileOps((step) => {
  if (step !== fatal?.op || ++seen !== fatal.count) return
  say({ dying: step })
  process.kill(process.pid, 'SIGKILL')
})
createInterface({ input: process.stdin }).on('line', (line) => {
  fatal = JSON.parse(line)
  seen = 0
  say({ armed: line })
})
await runNodeWith(ops, args)
