/**
 * `walcast join` up to the point where the node would start, in this process. The named file
 * operation kills the process (`kill`) or fails for want of room, the first time that it comes.
 */
import { pino } from 'pino'
import { nodeOptions } from '../../../src/cli/nodeArguments.ts'
import { asWalcastError } from '../../../src/errors.ts'
import { joinCluster } from '../../../src/node/joining.ts'
import { createFileOps } from '../../../src/platform/fileOps.ts'
import { parsePairingCode } from '../../../src/security/pairingCode.ts'
import { optionsOf, say } from './options.ts'

const { args, op, kill } = optionsOf<{
  readonly args: readonly string[]
  readonly op: string
  readonly kill: boolean
}>()
let hasFailed = false
const ops = createFileOps((step) => {
  if (step !== op || hasFailed) return
  hasFailed = true
  if (kill) process.kill(process.pid, 'SIGKILL')
  throw Object.assign(new Error(`ENOSPC: injected into ${step}`), { code: 'ENOSPC' })
})
const [, code, ...flags] = args
const options = nodeOptions('node', flags, process.env)
const log = pino({ level: 'silent' })
try {
  const setup = { options, secret: undefined, log, version: 'test', ops }
  say({ joined: await joinCluster(setup, parsePairingCode(code)) })
} catch (error) {
  say({ failed: asWalcastError(error).code, hasFailed })
}
