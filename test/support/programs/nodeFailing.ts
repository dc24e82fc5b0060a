/**
 * `walcast node` in this process, on a disk that fails when told to. A line `{"ops", "code",
 * "first", "times"}` on standard input makes `times` operations of these names fail with that
 * system error, starting with the `first` one from now on; `{}` ends that. The code `KILL` kills
 * the process there. The option `fault` is such a fault from the start. Each line is answered with
 * the number of failures since the last.
 */
import { createInterface } from 'node:readline'
import { createFileOps, runNodeWith } from './bundledNode.ts'
import { optionsOf, say } from './options.ts'

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
  if (fault.code === 'KILL') process.kill(process.pid, 'SIGKILL')
  throw Object.assign(new Error(`${fault.code}: injected into ${step}`), { code: fault.code })
})
createInterface({ input: process.stdin }).on('line', (line) => {
  say({ failed })
  fault = { ...sound, ...JSON.parse(line) }
  seen = 0
  failed = 0
})
await runNodeWith(ops, args)
