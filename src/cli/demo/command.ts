/** `walcast demo`: live replication of a real database, with proof. */
import { parseArgs } from 'node:util'
import { messageOf, WalcastError } from '../../errors.ts'
import { parseNumber } from '../../options/optionValues.ts'
import { showHelp } from '../helpOutput.ts'
import { DemoFailure, DemoInterrupted } from './failure.ts'
import { type DemoOptions, DemoRun } from './run.ts'
import { createScreen } from './screen.ts'
import { onStage } from './stage.ts'
import { verdictText } from './verdict.ts'

const HELP = `walcast demo [--seconds N] [--rate N] [--json] [--keep]

Shows live replication of a real database on this machine: 70,000 airports with their runways and
radio frequencies (23 MB). Starts a leader, two replicas and a program that writes to the leader's
database, each in a process of its own. Meanwhile it restarts the leader, and kills one replica and
starts it again. At the end it compares all three files page by page. Needs no network and leaves
nothing behind.

  --seconds N   how long to write, 3 to 3600 [15]
  --rate N      transactions a second, 1 to 5000 [200]
  --json        print only the result, as one JSON object
  --keep        keep the temporary folder with the databases and logs

The columns of the table
  state         what the node does
  txid          last commit captured (leader) or visible to readers (replica)
  behind        commits of the leader that are not visible here yet
  lag p50, p99  from the leader noticing a commit to readers seeing it, over the last minute
  frames        pages changed: captured from the WAL (leader), applied (replica)
  bytes         sent to both replicas together (leader), received (replica)

Exit codes: 0 when all three files are identical, 1 when not, 2 usage.
`

interface Arguments extends DemoOptions {
  readonly json: boolean
  readonly keep: boolean
}

/** Returns the exit code. Throws USAGE or DEMO_FAILED, once every process has ended. */
export async function runDemo(args: readonly string[]): Promise<number> {
  const options = parse(args)
  if (!options) {
    showHelp(HELP)
    return 0
  }
  try {
    return await showDemo(options)
  } catch (error) {
    if (options.json) process.stdout.write(`${JSON.stringify(failureOf(error))}\n`)
    if (!(error instanceof DemoInterrupted)) throw error
    process.stderr.write(`${error.message}; every process was stopped\n`)
    return 1
  }
}

async function showDemo(options: Arguments): Promise<number> {
  const { json, keep } = options
  const screen = createScreen(json ? undefined : process.stdout, process.env)
  screen.text(
    'walcast demo: a leader, two replicas and a writer, on a real database of 70,000 airports\n\n',
  )
  const result = await onStage(screen, keep, async (stage) => {
    const played = await DemoRun.play(stage, options)
    if (!played.ok) process.stderr.write(stage.children.logTails())
    return played
  })
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`)
  screen.text(`\n${verdictText(result, screen.colors)}`)
  if (result.ok) return 0
  process.stderr.write(`${new DemoFailure('the replicas are not identical to the leader').line}\n`)
  return 1
}

/** The JSON in place of a result, when there is none. */
function failureOf(error: unknown) {
  const code = error instanceof WalcastError ? error.code : 'INTERRUPTED'
  return { ok: false, error: { code, message: messageOf(error) } }
}

export const FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  keep: { type: 'boolean' },
  rate: { type: 'string' },
  seconds: { type: 'string' },
} as const

/** Undefined when help is asked for. */
function parse(args: readonly string[]): Arguments | undefined {
  const { help, seconds, rate, json = false, keep = false } = flagsOf(args)
  if (help) return undefined
  return {
    seconds: within('seconds', seconds ?? '15', 3, 3600),
    rate: within('rate', rate ?? '200', 1, 5000),
    json,
    keep,
  }
}

function flagsOf(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS }).values
  } catch (error) {
    throw new WalcastError('USAGE', { detail: messageOf(error).split('. ')[0] }, error)
  }
}

function within(flag: string, text: string, least: number, most: number): number {
  const value = parseNumber(flag, text)
  if (value >= least && value <= most) return value
  throw new WalcastError('USAGE', {
    detail: `--${flag} wants a number from ${least} to ${most}, not ${value}`,
  })
}
