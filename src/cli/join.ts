/** `walcast join`: makes this host a node of a cluster with a pairing code, and runs the node. */
import { WalcastError } from '../errors.ts'
import { joinCluster } from '../node/joining.ts'
import { readSecret } from '../security/givenSecret.ts'
import { parsePairingCode } from '../security/pairingCode.ts'
import { version } from '../version.ts'
import { showHelp } from './helpOutput.ts'
import { installUnit, requireNoOther } from './installUnit.ts'
import { createLog } from './log.ts'
import { nodeCommand } from './nodeCommand.ts'
import { runRun } from './run.ts'
import { beforeCommand } from './runArguments.ts'
import { runNode } from './runNode.ts'
import { type UnitArguments, unitArguments } from './unitArguments.ts'
import { planUnit } from './unitPlan.ts'
import { asUser } from './unitUser.ts'

const HELP = `walcast join CODE --db FILE --listen HOST:PORT [options] [-- COMMAND ARGS...]

Makes this host a node of a cluster with the code that "walcast pair" printed on one of its nodes,
copies the database to FILE, and runs the node. FILE must be missing, empty, or a copy of the same
cluster. The key of the cluster goes to FILE-walcast/keys, readable by you only. From then on
"walcast node" with the same options starts the node. With a COMMAND it goes on as "walcast run",
which starts the application once the copy is whole.

  CODE                   what "walcast pair" printed; good once and for ten minutes
  --db FILE              path of the copy [WALCAST_DB]
  --listen HOST:PORT     address of this host, at which the other nodes reach this one
  --systemd              write a systemd unit in place of running the node, as "walcast systemd"
                         does; for root, the node runs as the owner of FILE or of its folder
  --unit NAME            name of that unit [walcast-app for app.db]
  options                those of walcast node and walcast run: see walcast node --help

Ended on the way, the same command goes on where it was.
`

export async function runJoin(args: readonly string[]): Promise<number> {
  if (beforeCommand(args).includes('--help')) {
    showHelp(HELP)
    return 0
  }
  const { code: text, rest, isUnit, unit } = argumentsIn(args)
  const code = parsePairingCode(text)
  const command = nodeCommand(rest, process.env)
  const plan = isUnit ? await planUnit(command, unit, process.env) : undefined
  if (plan) requireNoOther(plan)
  const log = await createLog(process.env, rest)
  const { options } = command
  const joined = await asUser(plan?.user, () =>
    joinCluster({ options, secret: readSecret(process.env), log, version }, code),
  )
  const { node, cluster, leader } = joined
  log.info({ node, cluster, leader }, 'joined the cluster')
  if (plan) {
    await installUnit(plan)
    return 0
  }
  const how = { isCopyExpected: true }
  return command.name === 'run' ? runRun(rest, how) : runNode('node', rest, how)
}

interface JoinArguments extends UnitArguments {
  readonly code: string
}

/** The code comes first, as in the line to paste. Throws USAGE. */
function argumentsIn([code, ...others]: readonly string[]): JoinArguments {
  if (code === undefined || code.startsWith('-'))
    throw new WalcastError('USAGE', { detail: 'join takes the code of "walcast pair" first' })
  const given = unitArguments(others)
  if (given.unit !== undefined && !given.isUnit)
    throw new WalcastError('USAGE', { detail: '--unit goes with --systemd' })
  return { code, ...given }
}
