/** `walcast systemd`: writes the unit that runs a node here, alone or with its application. */
import { startableFolder } from '../node/startCheck.ts'
import { readSecret } from '../security/givenSecret.ts'
import { version } from '../version.ts'
import { showHelp } from './helpOutput.ts'
import { installUnit } from './installUnit.ts'
import { createLog } from './log.ts'
import { type NodeCommand, nodeCommand } from './nodeCommand.ts'
import { beforeCommand } from './runArguments.ts'
import { unitArguments } from './unitArguments.ts'
import { planUnit } from './unitPlan.ts'
import { asUser } from './unitUser.ts'
import { usage } from './usage.ts'

const HELP = `walcast systemd [node] --db FILE --listen HOST:PORT [options]
walcast systemd run --db FILE --listen HOST:PORT [options] -- COMMAND ARGS...

Writes a systemd unit that runs this node, and prints the two commands that start it. Put "systemd"
before the command that you would type. "run" may be left out where "--" and a command follow.

  --unit NAME   name of the unit [walcast-app for app.db]
  options       those of walcast node and walcast run: see walcast node --help, walcast run --help

Options of the environment are written into the unit as flags, and paths become absolute. Run by
root, it writes a unit of the system, whose node runs as the owner of the database, or of its folder
while there is no database. Run by others, it writes a unit of their own.

A unit holds no secret. Beyond loopback a leader makes one itself. One of your own lies in a file:
set WALCAST_SECRET_FILE, and the unit names that file.

A unit of that name that says something else is kept, and the command fails.
`

export async function runSystemd(args: readonly string[]): Promise<number> {
  if (beforeCommand(args).includes('--help')) {
    showHelp(HELP)
    return 0
  }
  const { command, unit } = argumentsIn(args)
  const environment = process.env
  const secret = ['WALCAST_SECRET', 'WALCAST_ELECTION_PASSWORD'].find((name) => environment[name])
  if (secret !== undefined)
    throw usage(`a unit holds no secret: set ${secret}_FILE in place of ${secret}`)
  const log = await createLog(environment, args)
  const { options } = command
  const plan = await planUnit(command, unit, environment)
  await asUser(plan.user, () => {
    const secret = readSecret(environment)
    startableFolder({ options, secret, log, version }, 'node')
  })
  await installUnit(plan)
  return 0
}

/** Throws USAGE or CONFIG_BAD. */
function argumentsIn(args: readonly string[]): {
  readonly command: NodeCommand
  readonly unit: string | undefined
} {
  const [word] = args
  const isNamed = word !== undefined && !word.startsWith('-')
  if (isNamed && word !== 'node' && word !== 'run')
    throw usage('a unit runs "walcast node" or "walcast run": walcast systemd [node|run] OPTIONS')
  const { unit, rest } = unitArguments(isNamed ? args.slice(1) : args)
  const hasCommand = rest.includes('--')
  if (isNamed && (word === 'run') !== hasCommand)
    throw usage(
      hasCommand
        ? 'node takes no command: write run in place of node'
        : 'run takes a command: walcast systemd run OPTIONS -- COMMAND ARGS...',
    )
  return { command: nodeCommand(rest, process.env), unit }
}
