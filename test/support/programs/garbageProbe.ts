/**
 * Loaded before a node (`--import`). At SIGUSR2 it says how many bytes of garbage the young
 * collections since the last one have left in the old heap, and makes all that is in use old.
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
