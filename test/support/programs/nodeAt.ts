/**
 * A node in this process that ends itself with SIGKILL just before the n-th file operation `op`, counted from the line `arm` on
 * standard input. Otherwise as the command line with the same arguments.
 */
import { createLog } from '../../../src/cli/log.ts'
import { nodeOptions } from '../../../src/cli/nodeArguments.ts'
import { createFileOps } from '../../../src/fileOps.ts'
import { startNode } from '../../../src/node/node.ts'
import type { StartAs } from '../../../src/node/nodeFolder.ts'
import { optionsOf, say } from './options.ts'

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
const [command, ...flags] = args
const startAs = command as StartAs
const log = await createLog(process.env)
const setup = {
  options: nodeOptions(startAs, flags, process.env),
  secret: process.env['WALCAST_SECRET'],
  log,
  version: 'test',
  ops,
}
const node = await startNode(setup, startAs)
log.info('running')
void node.failed.then(async (error) => {
  process.stderr.write(`${error.line}\n`)
  await node.stop()
  process.exit(1)
})
process.on('SIGTERM', () => void node.stop().then(() => process.exit(0)))
