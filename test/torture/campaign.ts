/** Rounds of torture until the time is up or one fails. Options: see main.ts. */
import { cpSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { isSocket } from '../support/clones.ts'
import { Lab } from '../support/lab.ts'
import { randomOf, span } from '../support/until.ts'

/**
 * Throws when anything is wrong. Returns what happened. The random numbers decide everything in it.
 */
export type Round = (lab: Lab, random: () => number) => Promise<string>

/** A round that hangs ends the campaign; a busy machine takes several minutes for one. */
const ROUND_TIMEOUT_MS = 900_000

export async function runCampaign(run: Round, help: string): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '120' },
      seed: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return void process.stdout.write(help)
  const time = span(Number(values.seconds) * 1000)
  let seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
  let rounds = 0
  while (time.left && process.exitCode === undefined) {
    await runOne(run, seed++, values.keep)
    rounds++
  }
  process.stdout.write(
    `${rounds} rounds, ${process.exitCode ? 'the last one failed' : 'all equal'}\n`,
  )
}

export async function runOne(run: Round, seed: number, keep: boolean): Promise<void> {
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
    const told = await Promise.race([run(lab, randomOf(seed)), late])
    lab.requireAlive()
    process.stdout.write(
      `seed ${seed} ok in ${((performance.now() - startMs) / 1000).toFixed(1)} s: ${told}\n`,
    )
  } catch (error) {
    process.stdout.write(
      `seed ${seed} FAILED: ${error instanceof Error ? error.stack : String(error)}\n`,
    )
    process.stdout.write(`${lab.tails().join('\n')}\n`)
    if (keep)
      cpSync(lab.folder, `${lab.folder}-kept`, {
        recursive: true,
        filter: (path) => !isSocket(path),
      })
    if (keep) process.stdout.write(`files: ${lab.folder}-kept\n`)
    process.exitCode = 1
  } finally {
    clearTimeout(timer)
    await lab.close()
  }
}
