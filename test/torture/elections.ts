/**
 * Torture of automatic failover: rounds of random faults against nodes with a lease in a real etcd,
 * under clients of a bank, until so many faults have struck. Each round ends with a judgement of
 * every answer that clients got. Not part of `npm test`.
 *
 *   scripts/torture elections [--faults N] [--seed N] [--keep]
 *
 * A round's seed is its shape and its schedule: the same faults, for as long, in the same order.
 */
import { parseArgs } from 'node:util'
import { runOne } from './campaign.ts'
import { FAULTS_A_ROUND, runElectionsRound } from './electionsRound.ts'

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '200' },
    seed: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
})
if (values.help)
  process.stdout.write(`scripts/torture elections [--faults N] [--seed N] [--keep]

N random faults (default 200) around automatic failover, ${FAULTS_A_ROUND} a round. Exit code 0 when
no two nodes let in writes at once, and no round lost or doubled what was acknowledged.
`)
else await run(Number(values.faults), Number(values.seed ?? Math.floor(Math.random() * 1e9)))

async function run(faults: number, firstSeed: number): Promise<void> {
  const rounds = Math.ceil(faults / FAULTS_A_ROUND)
  let done = 0
  for (; done < rounds && process.exitCode === undefined; done++)
    await runOne(runElectionsRound, firstSeed + done, values.keep)
  const outcome = process.exitCode ? 'the last one failed' : 'all equal'
  process.stdout.write(`${done} rounds of ${FAULTS_A_ROUND} faults, ${outcome}\n`)
}
