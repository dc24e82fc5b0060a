/**
 * Torture: rounds of random shapes, limits, writers, hostile checkpoints and faults until the time is up, each ended by
 * the proof that leader and replicas are equal and every invariant held in all readers. Not part of `npm test`.
 *
 *   scripts/torture [--seconds N] [--seed N] [--keep]
 *
 * A failed round prints its seed; `--seed` with it begins with the same round. `--keep` keeps the files of a failure.
 */
import { cpSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Lab } from '../support/lab.ts'
import { randomOf, span } from '../support/until.ts'
import { runRound } from './round.ts'

const ROUND_TIMEOUT_MS = 240_000
const HELP = `scripts/torture [--seconds N] [--seed N] [--keep]

Random faults against real nodes until N seconds are over (default 120). Exit 0 when every round ended equal.
`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
})

if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}

async function round(seed: number): Promise<void> {
  const lab = new Lab()
  const startMs = performance.now()
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the round took over ${ROUND_TIMEOUT_MS} ms`)),
        ROUND_TIMEOUT_MS,
      )
    })
    const told = await Promise.race([runRound(lab, randomOf(seed)), late])
    lab.requireAlive()
    process.stdout.write(
      `seed ${seed} ok in ${((performance.now() - startMs) / 1000).toFixed(1)} s: ${told}\n`,
    )
  } catch (error) {
    process.stdout.write(`seed ${seed} FAILED: ${error instanceof Error ? error.stack : String(error)}\n`)
    process.stdout.write(`${lab.tails().join('\n')}\n`)
    if (values.keep) cpSync(lab.folder, `${lab.folder}-kept`, { recursive: true })
    if (values.keep) process.stdout.write(`files: ${lab.folder}-kept\n`)
    process.exitCode = 1
  } finally {
    clearTimeout(timer)
    await lab.close()
  }
}

const time = span(Number(values.seconds) * 1000)
let seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
let rounds = 0
while (time.left && process.exitCode === undefined) {
  await round(seed++)
  rounds++
}
process.stdout.write(`${rounds} rounds, ${process.exitCode ? 'the last one failed' : 'all equal'}\n`)
