/** `walcast join`: makes this host a node of a cluster with a pairing code, and runs the node. */
import type { Logger } from 'pino'
import type { DatabaseView } from '../api/databaseView.ts'
import { WalcastError } from '../errors.ts'
import { joinCluster } from '../node/joining.ts'
import { cancelTimer, monotonicMs, setRepeatingTimer } from '../platform/time.ts'
import { readSecret } from '../security/givenSecret.ts'
import { parsePairingCode } from '../security/pairingCode.ts'
import { version } from '../version.ts'
import { CopyProgress } from './copyProgress.ts'
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
const LOOK_MS = 1000
/** Between two lines of the log. */
const LINE_MS = 10_000
/** Clears what is left of the line before, and puts the next line in its place. */
const REWRITE = '\x1b[K\r'

export async function runJoin(args: readonly string[]): Promise<number> {
  if (beforeCommand(args).includes('--help')) {
    process.stdout.write(HELP)
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
  const onRunning = (running: Running) => showProgress(running, log)
  return command.name === 'run' ? runRun(rest, onRunning) : runNode('node', rest, onRunning)
}

interface Running {
  readonly view: DatabaseView
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

/** Until the copy is level: on a terminal one line that changes, otherwise lines of the log. */
function showProgress(node: Running, log: Logger): void {
  const progress = new CopyProgress()
  const isTerminal = process.stderr.isTTY
  let said = ''
  let saidMs = Number.NEGATIVE_INFINITY
  const look = () => {
    const line = progress.next(node.view.status(), monotonicMs())
    if (!line || (line.text === said && !line.isLast)) return
    if (!isTerminal && !line.isLast && monotonicMs() - saidMs < LINE_MS) return
    said = line.text
    saidMs = monotonicMs()
    if (line.isLast) cancelTimer(timer)
    if (!isTerminal) log.info(line.text)
    else process.stderr.write(line.isLast ? `${line.text}\x1b[K\n` : `${line.text}${REWRITE}`)
  }
  const timer = setRepeatingTimer(look, LOOK_MS).unref()
  look()
}
