/**
 * The command line. It loads only the command that it runs. Standard output is for data; a failure
 * is one line on standard error. Exit codes: 0 ok, 1 failure, 2 usage.
 */
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { version } from '../version.ts'
import { reportFailure } from './failureReport.ts'
import { MAIN_HELP } from './help.ts'
import { nearestName } from './nearestName.ts'

const COMMANDS = [
  ...[
    'leader',
    'replica',
    'node',
    'run',
    'new-identity',
    'switchover',
    'rehearse',
    'promote',
    'demote',
  ],
  ...['status', 'lag', 'audit', 'forget', 'token', 'settings', 'diff', 'verify', 'demo', 'bench'],
  ...['webhook-key', 'pair', 'join', 'leave', 'remove', 'rotate-secret', 'rotate-key'],
  ...['cluster', 'systemd', 'backup', 'backup-key', 'restore', 'backups', 'at', 'history', 'undo'],
  ...['--help', '--version'],
]

async function run(command: string | undefined, args: readonly string[]): Promise<number> {
  switch (command) {
    case 'leader':
    case 'replica':
    case 'node':
      return (await import('./runNode.ts')).runNode(command, args)
    case 'run':
      return (await import('./run.ts')).runRun(args)
    case 'status':
      return (await import('./status.ts')).runStatus(args)
    case 'cluster':
      return (await import('./cluster.ts')).runCluster(args)
    case 'lag':
      return (await import('./lag.ts')).runLag(args)
    case 'diff':
      return (await import('./diff.ts')).runDiff(args)
    case 'forget':
      return (await import('./forget.ts')).runForget(args)
    case 'token':
      return (await import('./token.ts')).runToken(args)
    case 'pair':
      return (await import('./pair.ts')).runPair(args)
    case 'join':
      return (await import('./join.ts')).runJoin(args)
    case 'systemd':
      return (await import('./systemd.ts')).runSystemd(args)
    case 'leave':
      return (await import('./leave.ts')).runLeave(args)
    case 'remove':
      return (await import('./remove.ts')).runRemove(args)
    case 'rotate-secret':
      return (await import('./rotateSecret.ts')).runRotateSecret(args)
    case 'rotate-key':
      return (await import('./rotateKey.ts')).runRotateKey(args)
    case 'settings':
      return (await import('./settings.ts')).runSettings(args)
    case 'new-identity':
      return (await import('./newIdentity.ts')).runNewIdentity(args)
    case 'promote':
      return (await import('./promote.ts')).runPromote(args)
    case 'demote':
      return (await import('./demote.ts')).runDemote(args)
    case 'switchover':
      return (await import('./switchover.ts')).runSwitchover(args)
    case 'rehearse':
      return (await import('./rehearse.ts')).runRehearse(args)
    case 'audit':
      return (await import('./audit.ts')).runAudit(args)
    case 'verify':
      return (await import('./verify.ts')).runVerify(args)
    case 'webhook-key':
      return (await import('./webhookKey.ts')).runWebhookKey(args)
    case 'backup':
      return (await import('./backup.ts')).runBackup(args)
    case 'backup-key':
      return (await import('./backupKey.ts')).runBackupKey(args)
    case 'restore':
      return (await import('./restore.ts')).runRestore(args)
    case 'backups':
      return (await import('./backups.ts')).runBackups(args)
    case 'at':
      return (await import('./at.ts')).runAt(args)
    case 'history':
      return (await import('./history.ts')).runHistory(args)
    case 'undo':
      return (await import('./undo.ts')).runUndo(args)
    case 'demo':
      return (await import('./demo/command.ts')).runDemo(args)
    case 'bench':
      return (await import('./bench.ts')).runBench(args)
    case '--version':
      process.stdout.write(`${version}\n`)
      return 0
    case '--help':
    case 'help':
      process.stdout.write(MAIN_HELP)
      return 0
    case undefined:
      process.stderr.write(MAIN_HELP)
      return 2
    default:
      throw unknownCommand(command)
  }
}

function unknownCommand(command: string): WalcastError {
  const nearest = nearestName(command, COMMANDS)
  const hint = nearest ? ` (did you mean ${nearest}?)` : ''
  return new WalcastError('USAGE', {
    detail: `unknown command "${plainText(command, 100)}"${hint}`,
  })
}

function report(error: unknown): number {
  const isUsage = error instanceof WalcastError && error.key === 'USAGE'
  reportFailure(isUsage ? withHelpOfCommand(error) : error)
  return isUsage ? 2 : 1
}

/** Points to the help of the command that was used wrongly. */
function withHelpOfCommand(error: WalcastError): WalcastError {
  if (command === undefined || !COMMANDS.includes(command)) return error
  const details = { ...error.details, cure: `see walcast ${command} --help` }
  return new WalcastError('USAGE', details, error)
}

const [command, ...args] = process.argv.slice(2)
// What Node gives a program that ends before its work has: it stays if "run" never settles.
process.exitCode = 13
void run(command, args)
  .catch(report)
  .then((exitCode) => {
    process.exitCode = exitCode
  })
