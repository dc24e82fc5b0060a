/**
 * A node in this process whose time of day has run `speed` times as fast since `sinceMs` (ms since
 * 1970). Timers, and times between two moments of the process, stay as they are.
 */
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { replaceTime } from '../../../src/platform/time.ts'
import { shiftedTime } from '../shiftedTime.ts'
import { optionsOf } from './options.ts'
import { runNodeWith } from './runNodeWith.ts'

const { args, sinceMs, speed } = optionsOf<{
  args: readonly string[]
  sinceMs: number
  speed: number
}>()
const fast = (ms: number) => sinceMs + (ms - sinceMs) * speed
const { source } = shiftedTime()
replaceTime({
  ...source,
  wallMs: () => Math.floor(fast(source.wallMs())),
  nowMs: () => fast(source.nowMs()),
})
await runNodeWith(systemFileOps, args)
