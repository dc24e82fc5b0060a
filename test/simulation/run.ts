/**
 * Runs seeds of the simulation and says how fast. `node dist/test/simulation/run.js SEED` runs one
 * and prints its trace; `... FIRST COUNT` runs many and prints those that fail.
 */
import { simulate } from './world.ts'

const [first = 1, count = 0] = process.argv.slice(2).map(Number)
let simulatedMs = 0
let failed = 0
const beganMs = performance.now()
for (let seed = first; seed < first + Math.max(1, count); seed++) {
  const result = await simulate({ seed, replicas: 2, seconds: 20, hasFaults: true })
  simulatedMs += result.elapsedMs
  if (count === 0) process.stdout.write(result.trace)
  if (result.error) {
    failed++
    console.log(`seed ${seed} failed after ${result.elapsedMs} ms:`, result.error)
  }
}
const tookMs = performance.now() - beganMs
console.log(
  `${Math.max(1, count)} seeds, ${failed} failed, ${(simulatedMs / tookMs).toFixed(0)} simulated seconds a second`,
)
