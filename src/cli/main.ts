/**
 * The command line. It loads only the command that it runs. Standard output is for data; a failure
 * is one line on standard error. Exit codes: 0 ok, 1 failure, 2 usage.
 */
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { version } from '../version.ts'
import { COMMAND_NAMES, type CommandName, isCommandName } from './commandTable.ts'
import { reportFailure } from './failureReport.ts'
import { showHelp } from './helpOutput.ts'
import { tolerateLostReaders } from './lostOutput.ts'
import { mainHelp } from './mainHelp.ts'
import { nearestName } from './nearestName.ts'

type Run = (args: readonly string[]) => Promise<number>

/** Loaded only when it runs. */
const RUNS: Readonly<Record<CommandName, Run>> = {
  leader: async (args) => (await import('./runNode.ts')).runNode('leader', args),
  replica: async (args) => (await import('./runNode.ts')).runNode('replica', args),
  node: async (args) => (await import('./runNode.ts')).runNode('node', args),
  run: async (args) => (await import('./run.ts')).runRun(args),
  systemd: async (args) => (await import('./systemd.ts')).runSystemd(args),
  witness: async (args) => (await import('./witness.ts')).runWitness(args),
  'new-identity': async (args) => (await import('./newIdentity.ts')).runNewIdentity(args),
  pair: async (args) => (await import('./pair.ts')).runPair(args),
  join: async (args) => (await import('./join.ts')).runJoin(args),
  switchover: async (args) => (await import('./switchover.ts')).runSwitchover(args),
  rehearse: async (args) => (await import('./rehearse.ts')).runRehearse(args),
  promote: async (args) => (await import('./promote.ts')).runPromote(args),
  demote: async (args) => (await import('./demote.ts')).runDemote(args),
  pause: async (args) => (await import('./pause.ts')).runPause(args),
  resume: async (args) => (await import('./resume.ts')).runResume(args),
  cluster: async (args) => (await import('./cluster.ts')).runCluster(args),
  config: async (args) => (await import('./config.ts')).runConfig(args),
  'check-config': async (args) => (await import('./checkConfig.ts')).runCheckConfig(args),
  status: async (args) => (await import('./status.ts')).runStatus(args),
  lag: async (args) => (await import('./lag.ts')).runLag(args),
  audit: async (args) => (await import('./audit.ts')).runAudit(args),
  diverged: async (args) => (await import('./diverged.ts')).runDiverged(args),
  tail: async (args) => (await import('./tail.ts')).runTail(args),
  forget: async (args) => (await import('./forget.ts')).runForget(args),
  token: async (args) => (await import('./token.ts')).runToken(args),
  leave: async (args) => (await import('./leave.ts')).runLeave(args),
  remove: async (args) => (await import('./remove.ts')).runRemove(args),
  'rotate-secret': async (args) => (await import('./rotateSecret.ts')).runRotateSecret(args),
  'rotate-key': async (args) => (await import('./rotateKey.ts')).runRotateKey(args),
  settings: async (args) => (await import('./settings.ts')).runSettings(args),
  diff: async (args) => (await import('./diff.ts')).runDiff(args),
  verify: async (args) => (await import('./verify.ts')).runVerify(args),
  'webhook-key': async (args) => (await import('./webhookKey.ts')).runWebhookKey(args),
  backup: async (args) => (await import('./backup.ts')).runBackup(args),
  backups: async (args) => (await import('./backups.ts')).runBackups(args),
  restore: async (args) => (await import('./restore.ts')).runRestore(args),
  at: async (args) => (await import('./at.ts')).runAt(args),
  history: async (args) => (await import('./history.ts')).runHistory(args),
  undo: async (args) => (await import('./undo.ts')).runUndo(args),
  'backup-key': async (args) => (await import('./backupKey.ts')).runBackupKey(args),
  completion: async (args) => (await import('./completion.ts')).runCompletion(args),
  wal: async (args) => (await import('./wal.ts')).runWal(args),
  explain: async (args) => (await import('./explain.ts')).runExplain(args),
  demo: async (args) => (await import('./demo/command.ts')).runDemo(args),
  bench: async (args) => (await import('./bench.ts')).runBench(args),
}

/** Other first words. */
const WORDS = ['help', 'version', '--help', '--version']
const MAX_SHOWN_CHARS = 100

async function run(word: string | undefined, args: readonly string[]): Promise<number> {
  switch (word) {
    case 'version':
    case '--version':
      process.stdout.write(`${version}\n`)
      return 0
    case '-h':
    case '--help':
    case 'help':
      return help(args)
    case undefined:
      process.stderr.write(mainHelp())
      return 2
    default:
      return named(word)(withLongHelp(args))
  }
}

/** `walcast help COMMAND` is `walcast COMMAND --help`, also for a command's own commands. */
async function help(words: readonly string[]): Promise<number> {
  const [word, ...rest] = words
  if (word !== undefined && !word.startsWith('-')) return named(word)([...rest, '--help'])
  showHelp(mainHelp())
  return 0
}

/** `-h` for `--help`; what follows `--` is the application's. */
function withLongHelp(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((arg, at) => (arg === '-h' && (end < 0 || at < end) ? '--help' : arg))
}

/** Throws USAGE, with the command that was probably meant. */
function named(word: string): Run {
  if (isCommandName(word)) return RUNS[word]
  const nearest = nearestName(word, [...COMMAND_NAMES, ...WORDS])
  const hint = nearest ? ` (did you mean ${nearest}?)` : ''
  throw new WalcastError('USAGE', {
    detail: `unknown command "${plainText(word, MAX_SHOWN_CHARS)}"${hint}`,
  })
}

function report(error: unknown): number {
  const isUsage = error instanceof WalcastError && error.key === 'USAGE'
  reportFailure(isUsage ? withHelpOfCommand(error) : error)
  return isUsage ? 2 : 1
}

/** Points to the help of the command that was used wrongly. */
function withHelpOfCommand(error: WalcastError): WalcastError {
  const used = word === 'help' ? args[0] : word
  if (used === undefined || !isCommandName(used)) return error
  const details = { ...error.details, cure: `see walcast ${used} --help` }
  return new WalcastError('USAGE', details, error)
}

const [word, ...args] = process.argv.slice(2)
tolerateLostReaders()
// What Node gives a program that ends before its work has: it stays if "run" never settles.
process.exitCode = 13
void run(word, args)
  .catch(report)
  .then((exitCode) => {
    process.exitCode = exitCode
  })
