/**
 * Runs seeds of the simulation and says how fast. `node dist/test/simulation/run.js SEED` runs one
 * and prints its trace; `... FIRST COUNT` runs many and prints which fail. With `--moves`
 * leadership moves; with `--election` nodes fail over by themselves.
 */
import { OF_A_LEASED_SEED, OF_A_SEED } from './seedOptions.ts'
import { simulate } from './world.ts'

const hasElection = process.argv.includes('--election')
const hasMoves = process.argv.includes('--moves')
const numbers = process.argv.slice(2).filter((argument) => /^\d+$/.test(argument))
const [first = 1, count = 0] = numbers.map(Number)
const seeds = Math.max(1, count)
let [simulatedMs, events, commits, failovers, failed] = [0, 0, 0, 0, 0]
const [beganMs, beganCpu] = [performance.now(), process.cpuUsage()]
for (let seed = first; seed < first + seeds; seed++) {
  const result = await simulate({
    ...(hasElection ? OF_A_LEASED_SEED : OF_A_SEED),
    seed,
    hasMoves,
    hasElection,
  })
  simulatedMs += result.elapsedMs
  events += result.events
  commits += result.commits
  failovers += result.failovers
  if (count === 0) process.stdout.write(result.trace)
  if (result.error === undefined) continue
  failed++
  console.log(`seed ${seed} failed after ${result.elapsedMs} ms:`, result.error)
}
const { user, system } = process.cpuUsage(beganCpu)
const perSecond = (simulatedMs / (performance.now() - beganMs)).toFixed(0)
const perCpuSecond = (simulatedMs / ((user + system) / 1000)).toFixed(0)
console.log(`${seeds} seeds, ${failed} failed, ${events} events, ${commits} commits`)
console.log(`${failovers} failovers`)
console.log(`${perSecond} simulated seconds a second, ${perCpuSecond} a second of processor time`)
