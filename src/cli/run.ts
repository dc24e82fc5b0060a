/** `walcast run`: a node, and the application as its child process. */
import type { Logger } from 'pino'
import { WalcastError } from '../errors.ts'
import { holderOf, isFree } from '../node/portHolder.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { systemClock } from '../platform/clock.ts'
import { setTimer } from '../platform/time.ts'
import { readSecret } from '../security/givenSecret.ts'
import { ApplicationGuard } from '../supervisor/applicationGuard.ts'
import { type ApplicationProcess, spawnApplication } from '../supervisor/applicationProcess.ts'
import { type SupervisedNode, startSupervisedNode } from '../supervisor/supervisedNode.ts'
import { Supervisor } from '../supervisor/supervisor.ts'
import { version } from '../version.ts'
import { reportCopies } from './copyProgress.ts'
import { warnOfUnknownVariables } from './environment.ts'
import { showHelp } from './helpOutput.ts'
import { createLog } from './log.ts'
import { hasTerminalLog } from './logOptions.ts'
import { PRINT_CONFIG, printConfig, shownRun } from './printConfig.ts'
import { reloadAtHangup } from './reloadAtHangup.ts'
import { beforeCommand, type RunArguments, runArguments, withUpstream } from './runArguments.ts'
import { ownOptionLines } from './runOptions.ts'

const HELP = `walcast run --db FILE [--leader HOST:PORT] [node options] [options] -- COMMAND ARGS...

Starts a node and, once the node can serve, the application. A leader can serve when it captures, a
replica when its copy is complete. The application finds its role in WALCAST_ROLE (leader, replica
or standby). It also gets WALCAST_EPOCH, WALCAST_POSITION, WALCAST_NODE_URL and WALCAST_DB, but not
the cluster secret.

When the application exits, the node stops and exits with the same code (128 + N after signal N).
With --restart it starts the application again instead. SIGTERM and SIGINT stop the application
first, then the node; the exit code is 0.

${ownOptionLines()}

Each of these has an environment variable too (--role-change: WALCAST_ROLE_CHANGE). The node options
are those of walcast node: see walcast node --help.
`

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost'])

/** `isCopyExpected`: it is said when the first copy is level, however quick that is. */
export async function runRun(
  args: readonly string[],
  { isCopyExpected = false }: { readonly isCopyExpected?: boolean } = {},
): Promise<number> {
  if (beforeCommand(args).includes('--help')) {
    showHelp(HELP)
    return 0
  }
  const given = runArguments(args, process.env)
  const { options: own, shown } = shownRun(given, args, process.env)
  if (beforeCommand(args).includes(PRINT_CONFIG))
    return printConfig(withUpstream(own, given.ports), shown)
  const ports = await freeFirst(given.ports)
  const options = withUpstream(own, ports)
  const secret = readSecret(process.env)
  const log = await createLog(process.env, args)
  warnOfUnknownVariables(process.env, log)
  await sayIfTaken(options, ports, log)
  const signalled = stopSignal(options.drainMs + given.rules.stopTimeoutMs)
  const node = await startSupervisedNode({
    ...{ options, given: shown, secret, log, version },
    processMetrics: true,
  })
  reloadAtHangup(options, () => node.reloadKeys())
  const { db, listen, proxy, upstream } = options
  const { role, position } = node.situation()
  const { epoch, txid } = position
  log.info({ role, db, listen, proxy, upstream, epoch, txid }, 'running')
  const endReport = reportCopies(node.view, (text) => log.info(text), {
    hasBar: hasTerminalLog(args, process.env),
    isExpected: isCopyExpected,
  })
  const supervisor = supervise(node, { ...given, ports }, log)
  return untilEnded(node, supervisor, signalled, log).finally(endReport)
}

/**
 * Puts a free port first: a process that a killed node left behind may hold the other. Throws
 * APP_PORT_TAKEN when no port is free.
 */
async function freeFirst(ports: readonly number[]): Promise<readonly number[]> {
  const areFree = await Promise.all(ports.map(isFree))
  if (ports.length > 0 && !areFree.includes(true))
    throw new WalcastError('APP_PORT_TAKEN', { ports: ports.join(','), holder: holderOf(ports[0]) })
  return areFree[0] === false ? [...ports].reverse() : ports
}

/**
 * Warns when a process listens at `--upstream` already. The application is not started yet, so this
 * is another process, which would get its requests.
 */
async function sayIfTaken(
  { upstream }: NodeOptions,
  ports: readonly number[],
  log: Logger,
): Promise<void> {
  if (upstream === undefined || ports.length > 0) return
  const { hostname, port } = new URL(upstream)
  if (!LOOPBACK.has(hostname) || (await isFree(Number(port)))) return
  log.warn(
    { upstream, holder: holderOf(Number(port)) },
    'another process listens at --upstream before the application has started',
  )
}

function supervise(
  node: SupervisedNode,
  { rules, command, ports }: RunArguments,
  log: Logger,
): Supervisor {
  const guard = new ApplicationGuard(log)
  const supervisor = new Supervisor({
    rules,
    clock: systemClock,
    command: command[0],
    application: node.application(rules.stopTimeoutMs),
    ports,
    spawn: (port) => guarded(spawnApplication(command, process.env, node.situation(), port), guard),
    whenReady: (signal) => node.whenReady(signal),
    say: (text, details = {}, level = 'info') => log[level](details, text),
  })
  node.onRole(() => supervisor.roleChanged())
  // The application must not go on without its node, however this process exits.
  process.once('exit', () => supervisor.abandon())
  supervisor.begin()
  return supervisor
}

function guarded(application: ApplicationProcess, guard: ApplicationGuard): ApplicationProcess {
  const { pid } = application
  if (pid === undefined) return application
  guard.add(pid)
  application.onExited(() => guard.drop(pid))
  return application
}

/** Stops the application and then its node, whichever of them ended first. */
async function untilEnded(
  node: SupervisedNode,
  supervisor: Supervisor,
  signalled: Promise<'signal'>,
  log: Logger,
): Promise<number> {
  try {
    const ended = await Promise.race([signalled, node.failed, supervisor.ended])
    if (typeof ended === 'number')
      log[ended === 0 ? 'info' : 'warn'](
        { code: ended },
        'the application exited; stopping the node',
      )
    else log.info(endText(ended))
    await supervisor.stop()
    if (typeof ended === 'number') return ended
    if (ended === 'signal') return 0
    if (ended.key !== 'LEFT') throw ended
    await node.stop()
    log.info(`${ended.message}; ${ended.cure}`)
    return 0
  } finally {
    await node.stop()
  }
}

function endText(ended: 'signal' | WalcastError): string {
  if (ended === 'signal') return 'stopping'
  return ended.key === 'LEFT' ? 'the node leaves its cluster; stopping' : 'stopping after a failure'
}

/**
 * Resolves at the first SIGTERM or SIGINT; a second one, or a stop that takes longer than
 * `limitMs`, ends the process.
 */
function stopSignal(limitMs: number): Promise<'signal'> {
  return new Promise((resolve) => {
    let count = 0
    const onSignal = () => {
      if (++count > 1) process.exit(1)
      setTimer(() => process.exit(1), limitMs).unref()
      resolve('signal')
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}
