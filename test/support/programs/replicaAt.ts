/**
 * A replica in this process that ends itself with SIGKILL just before the n-th step of one kind (`op`), or whose writes of
 * that kind fail with ENOSPC while a file `fullWhile` exists. Otherwise as `walcast replica`.
 */
import { existsSync } from 'node:fs'
import { createLog } from '../../../src/cli/log.ts'
import { nodeOptions } from '../../../src/cli/nodeArguments.ts'
import { createFileOps, type FileOp } from '../../../src/fileOps.ts'
import { startNode } from '../../../src/node/node.ts'
import { optionsOf } from './options.ts'

const { args, op, count, fullWhile } = optionsOf<{
  args: readonly string[]
  op: FileOp
  count?: number
  fullWhile?: string
}>()
let seen = 0

const ops = createFileOps((step) => {
  if (step !== op) return
  if (fullWhile !== undefined && existsSync(fullWhile))
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  if (count !== undefined && ++seen === count) process.kill(process.pid, 'SIGKILL')
})
const log = await createLog(process.env)
const node = await startNode(
  {
    options: nodeOptions('replica', args.slice(1), {}),
    secret: undefined,
    log,
    version: 'test',
    ops,
  },
  'replica',
)
log.info('running')
void node.failed.then(async (error) => {
  process.stderr.write(`${error.line}\n`)
  await node.stop()
  process.exit(1)
})
process.on('SIGTERM', () => void node.stop().then(() => process.exit(0)))
