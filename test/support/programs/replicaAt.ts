/**
 * `walcast replica` in this process, which kills itself just before the n-th step of one kind
 * (`op`), counted from its start or from when the file `from` exists. With `fullWhile`, writes of
 * that kind fail with ENOSPC while that file exists.
 */
import { existsSync } from 'node:fs'
import type { FileOp } from '../../../src/platform/fileOps.ts'
import { createFileOps, runNodeWith } from './bundledNode.ts'
import { optionsOf } from './options.ts'

const { args, op, count, from, fullWhile } = optionsOf<{
  args: readonly string[]
  op: FileOp
  count?: number
  from?: string
  fullWhile?: string
}>()
let seen = 0

const ops = createFileOps((step) => {
  if (step !== op) return
  if (fullWhile !== undefined && existsSync(fullWhile))
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  if (from !== undefined && !existsSync(from)) return
  if (count !== undefined && ++seen === count) process.kill(process.pid, 'SIGKILL')
})
await runNodeWith(ops, args)
