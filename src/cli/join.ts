/** `walcast join`: makes this host a node of a cluster with a pairing code, and runs the node. */
import type { Logger } from 'pino'
import { WalcastError } from '../errors.ts'
import { type JoinedNode, joinCluster } from '../node/joining.ts'
import type { RunningNode } from '../node/runningNode.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { cancelTimer, monotonicMs, setRepeatingTimer } from '../platform/time.ts'
import { readSecret } from '../security/givenSecret.ts'
import { parsePairingCode } from '../security/pairingCode.ts'
import { version } from '../version.ts'
import { CopyProgress } from './copyProgress.ts'
import { installUnit } from './installUnit.ts'
import { createLog } from './log.ts'
import { lastingArguments, nodeOptions } from './nodeArguments.ts'
import { shown } from './queryCommand.ts'
import { runNode } from './runNode.ts'

const HELP = `walcast join CODE --db FILE --listen HOST:PORT [options]

Makes this host a node of a cluster with the code that "walcast pair" printed on one of its nodes,
copies the database to FILE, and runs the node. FILE must be missing, empty, or a copy of the same
cluster. The key of the cluster goes to FILE-walcast/keys, readable by you only. From then on
"walcast node" with the same options starts the node.

  CODE                   what "walcast pair" printed; good once and for ten minutes
  --db FILE              path of the copy [WALCAST_DB]
  --listen HOST:PORT     address of this host, at which the other nodes reach this one
  --systemd              write a systemd unit in place of running the node: of the system for root,
                         of your own otherwise
  options                those of walcast node: see walcast node --help

Ended on the way, the same command goes on where it was.
`
const LOOK_MS = 1000
/** Clears what is left of the line before, and puts the next line in its place. */
const REWRITE = '\x1b[K\r'

export async function runJoin(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(HELP)
    return 0
  }
  const { code: text, rest, isUnit } = argumentsIn(args)
  const code = parsePairingCode(text)
  const options = nodeOptions('node', rest, process.env)
  const secret = readSecret(process.env)
  const log = await createLog(process.env)
  const joined = await joinCluster({ options, secret, log, version }, code)
  const { node, cluster, leader } = joined
  log.info({ node, cluster, leader }, 'joined the cluster')
  if (isUnit) return writeUnit(joined, options, rest)
  return runNode('node', rest, (running) => showProgress(running, log))
}

interface JoinArguments {
  readonly code: string
  /** The options of the node. */
  readonly rest: readonly string[]
  readonly isUnit: boolean
}

/** The code comes first, as in the line to paste. Throws USAGE. */
function argumentsIn([code, ...others]: readonly string[]): JoinArguments {
  if (code === undefined || code.startsWith('-'))
    throw new WalcastError('USAGE', { detail: 'join takes the code of "walcast pair" first' })
  const rest = others.filter((arg) => arg !== '--systemd')
  return { code, rest, isUnit: rest.length < others.length }
}

async function writeUnit(
  { node }: JoinedNode,
  { drainMs }: NodeOptions,
  args: readonly string[],
): Promise<number> {
  const lasting = lastingArguments(args, process.env)
  const { path, commands } = await installUnit({ node, arguments: lasting, drainMs }, process.env)
  process.stderr.write(`${shown(`wrote ${path}; start the node, now and at each boot`)}:\n`)
  process.stdout.write(commands.map((command) => `${command}\n`).join(''))
  return 0
}

/** Until the copy is level: on a terminal one line that changes, otherwise lines of the log. */
function showProgress(node: RunningNode, log: Logger): void {
  const progress = new CopyProgress()
  const isTerminal = process.stderr.isTTY
  let said = ''
  const look = () => {
    const line = progress.next(node.view.status(), monotonicMs())
    if (!line || (line.text === said && !line.isLast)) return
    said = line.text
    if (line.isLast) cancelTimer(timer)
    if (!isTerminal) log.info(line.text)
    else process.stderr.write(line.isLast ? `${line.text}\x1b[K\n` : `${line.text}${REWRITE}`)
  }
  const timer = setRepeatingTimer(look, LOOK_MS).unref()
  look()
}
