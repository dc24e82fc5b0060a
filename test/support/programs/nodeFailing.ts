/**
 * A node in this process whose disk fails when it is told to. Otherwise as the command line with
 * the same arguments. Lines on standard input: `{"ops", "code", "first", "times"}` lets `times`
 * operations of these names, from the `first` one from now on, fail with that system error; `{}`
 * ends that. `fault` among the options is such a fault from the start on. Each line is answered by
 * how many have failed since the last.
 */
import { createInterface } from 'node:readline'
import { createFileOps } from '../../../src/platform/fileOps.ts'
import { optionsOf, say } from './options.ts'
import { runNodeWith } from './runNodeWith.ts'

interface Fault {
  readonly ops: readonly string[]
  readonly code: string
  readonly first: number
  readonly times: number
}

const { args, fault: given } = optionsOf<{ args: readonly string[]; fault?: Partial<Fault> }>()
const sound: Fault = { ops: [], code: '', first: 1, times: 0 }
let fault: Fault = { ...sound, ...given }
let seen = 0
let failed = 0

const ops = createFileOps((step) => {
  if (!fault.ops.includes(step)) return
  seen++
  if (seen < fault.first || seen >= fault.first + fault.times) return
  failed++
  throw Object.assign(new Error(`${fault.code}: injected into ${step}`), { code: fault.code })
})
createInterface({ input: process.stdin }).on('line', (line) => {
  say({ failed })
  fault = { ...sound, ...JSON.parse(line) }
  seen = 0
  failed = 0
})
await runNodeWith(ops, args)
