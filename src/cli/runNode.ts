/** Runs a node in the foreground until a signal or a failure ends it. */
import { WalcastError } from '../errors.ts'
import { startNode } from '../node/node.ts'
import type { StartAs } from '../node/nodeFolder.ts'
import type { RunningNode } from '../node/runningNode.ts'
import { setTimer } from '../platform/time.ts'
import { readSecret } from '../security/givenSecret.ts'
import { version } from '../version.ts'
import { reportCopies } from './copyProgress.ts'
import { warnOfUnknownVariables } from './environment.ts'
import { nodeHelp } from './help.ts'
import { showHelp } from './helpOutput.ts'
import { createLog } from './log.ts'
import { hasTerminalLog } from './logOptions.ts'
import { givenOptions } from './nodeArguments.ts'
import { PRINT_CONFIG, printConfig, programOptions } from './printConfig.ts'
import { reloadAtHangup } from './reloadAtHangup.ts'

/** `isCopyExpected`: it is said when the first copy is level, however quick that is. */
export async function runNode(
  as: StartAs,
  args: readonly string[],
  { isCopyExpected = false }: { readonly isCopyExpected?: boolean } = {},
): Promise<number> {
  if (args.includes('--help')) {
    showHelp(nodeHelp(as, args.includes('--all')))
    return 0
  }
  const { options, origins } = givenOptions(as, args, process.env)
  const given = { origins, others: programOptions(args, process.env) }
  if (args.includes(PRINT_CONFIG)) return printConfig(options, given)
  const secret = readSecret(process.env)
  const log = await createLog(process.env, args)
  warnOfUnknownVariables(process.env, log)
  const setup = { options, given, secret, log, version, processMetrics: true }
  const signalled = stopSignal(options.drainMs)
  const node = await startNode(setup, as)
  reloadAtHangup(options, () => node.reloadKeys())
  const { role, epoch, txid } = node.view.status()
  const { db, listen, health, proxy, upstream } = options
  log.info({ role, db, listen, health, proxy, upstream, epoch, txid }, 'running')
  if (proxy && !upstream && !options.standby)
    log.warn('--proxy is set without --upstream; requests for the application get 503 here')
  const hasBar = hasTerminalLog(args, process.env)
  const say = (text: string) => log.info(text)
  const endReport = reportCopies(node.view, say, { hasBar, isExpected: isCopyExpected })
  return untilStopped(node, signalled, say).finally(endReport)
}

/**
 * Resolves at the first SIGTERM or SIGINT, also while the node starts. A second one, or a stop that
 * takes too long, ends the process.
 */
function stopSignal(drainMs: number): Promise<'signal'> {
  return new Promise((resolve) => {
    let count = 0
    const onSignal = () => {
      if (++count > 1) process.exit(1)
      setTimer(() => process.exit(1), drainMs).unref()
      resolve('signal')
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

/** Stops the node at a signal or a failure. */
async function untilStopped(
  node: RunningNode,
  signalled: Promise<'signal'>,
  say: (text: string) => void,
): Promise<number> {
  const ended = await Promise.race([signalled, node.failed])
  const hasLeft = ended !== 'signal' && ended.key === 'LEFT'
  say(ended === 'signal' || hasLeft ? 'stopping' : 'stopping after a failure')
  await node.stop()
  if (ended instanceof WalcastError && !hasLeft) throw ended
  if (hasLeft) say(`${ended.message}; ${ended.cure}`)
  return 0
}
