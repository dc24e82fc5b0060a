/**
 * Preloaded into a node (`--import`). At SIGUSR2 it prints how many bytes of garbage young
 * collections have moved to the old heap since the last time, and makes everything in use old.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { say } from './options.ts'

setFlagsFromString('--expose-gc')
const collect: (options?: { readonly type: 'minor' }) => void = runInNewContext('gc')

process.on('SIGUSR2', () => {
  collect({ type: 'minor' })
  collect({ type: 'minor' })
  const before = process.memoryUsage().heapUsed
  collect()
  say({ leftBytes: before - process.memoryUsage().heapUsed })
})
