/**
 * What a shell may complete after each command: its options, what they take, and its arguments.
 * The options are those by which the commands themselves parse.
 */
import type { OptionSpec } from '../../options/optionSpec.ts'
import { CHOICES } from '../../options/optionValues.ts'
import { STAGES } from '../../replica/lag.ts'
import { TOKEN_ROLES } from '../../security/token.ts'
import { type FlagKinds, NODE_FLAGS } from '../commandArguments.ts'
import { COMMAND_NAMES, type CommandName } from '../commandTable.ts'
import { explainedCodes } from '../explain.ts'
import { LOG_OPTIONS } from '../logOptions.ts'
import { optionsOf } from '../nodeArguments.ts'
import { OWN_FLAGS } from '../runOptions.ts'
import { WATCH_FLAGS } from '../watch.ts'

/** A path, certain words, anything else, or nothing. */
export type Takes = 'path' | 'text' | 'nothing' | readonly string[]

export interface CommandWords {
  readonly name: CommandName
  readonly options: readonly { readonly flag: string; readonly takes: Takes }[]
  /** What stands beside the options. */
  readonly argument: Takes
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const

const HELP = { help: { type: 'boolean' } } as const
const OF_LOGS = Object.fromEntries(
  LOG_OPTIONS.map(({ flag }) => [flag, { type: 'string' }] as const),
)
const PRINT = { 'print-config': { type: 'boolean' } } as const
const UNIT = { unit: { type: 'string' } } as const

type Load = () => Promise<FlagKinds>

const node = (role: 'leader' | 'replica' | 'node', more: FlagKinds = {}): Load => {
  const flags = optionsOf(role).map(({ flag, kind }) => [flag, { type: typeOf(kind) }] as const)
  const all = { all: { type: 'boolean' } } as const
  return async () => ({
    ...HELP,
    ...all,
    config: { type: 'string' },
    ...OF_LOGS,
    ...Object.fromEntries(flags),
    ...more,
  })
}

const OF_RUN = Object.fromEntries(OWN_FLAGS.map((flag) => [flag, { type: 'string' }] as const))

const watched: Load = async () => ({ ...NODE_FLAGS, ...WATCH_FLAGS })

/** The table by which each command parses. */
const FLAGS_OF: Readonly<Record<CommandName, Load>> = {
  leader: node('leader', PRINT),
  replica: node('replica', PRINT),
  node: node('node', PRINT),
  run: node('node', { ...OF_RUN, ...PRINT }),
  'check-config': node('node', OF_RUN),
  systemd: node('node', { ...OF_RUN, ...UNIT }),
  join: node('node', { ...OF_RUN, ...UNIT, systemd: { type: 'boolean' } }),
  witness: async () => (await import('../witness.ts')).FLAGS,
  'new-identity': async () => (await import('../newIdentity.ts')).FLAGS,
  pair: async () => NODE_FLAGS,
  switchover: async () => (await import('../switchover.ts')).FLAGS,
  rehearse: async () => (await import('../rehearse.ts')).FLAGS,
  promote: async () => (await import('../promote.ts')).FLAGS,
  demote: async () => (await import('../demote.ts')).FLAGS,
  pause: async () => (await import('../pause.ts')).FLAGS,
  resume: async () => (await import('../resume.ts')).FLAGS,
  cluster: watched,
  config: async () => (await import('../config.ts')).FLAGS,
  status: watched,
  lag: async () => (await import('../lag.ts')).FLAGS,
  audit: async () => (await import('../audit.ts')).FLAGS,
  tail: async () => (await import('../tail.ts')).FLAGS,
  forget: async () => ({ ...HELP, node: NODE_FLAGS.node, db: NODE_FLAGS.db }),
  diverged: async () => (await import('../diverged.ts')).FLAGS,
  token: async () => (await import('../token.ts')).FLAGS,
  leave: async () => (await import('../leave.ts')).FLAGS,
  remove: async () => (await import('../remove.ts')).FLAGS,
  'rotate-secret': async () => (await import('../rotateSecret.ts')).FLAGS,
  'rotate-key': async () => (await import('../rotateKey.ts')).FLAGS,
  settings: async () => (await import('../settings.ts')).FLAGS,
  diff: async () => (await import('../diff.ts')).FLAGS,
  verify: async () => (await import('../verify.ts')).FLAGS,
  'webhook-key': async () => HELP,
  backup: async () => (await import('../backup.ts')).FLAGS,
  backups: async () => ({
    ...(await import('../backups.ts')).FLAGS,
    ...(await import('../namedPoints.ts')).FLAGS,
  }),
  restore: async () => (await import('../restore.ts')).FLAGS,
  at: async () => (await import('../at.ts')).FLAGS,
  history: async () => (await import('../history.ts')).FLAGS,
  undo: async () => (await import('../undo.ts')).FLAGS,
  'backup-key': async () => (await import('../backupKey.ts')).FLAGS,
  explain: async () => (await import('../explain.ts')).FLAGS,
  wal: async () => (await import('../wal.ts')).FLAGS,
  completion: async () => HELP,
  demo: async () => (await import('../demo/command.ts')).FLAGS,
  // It takes other words, and says which ones.
  bench: async () => HELP,
}

const PATH_KINDS: ReadonlySet<OptionSpec['kind']> = new Set(['path', 'place', 'places'])
/** Options of commands, by name, of all commands or of one. */
const PATHS = [
  'db',
  'config',
  'identity',
  'archive',
  'from',
  'open',
  'restore --to',
  'dir',
  'make-certificates',
]
const NO_PATHS = ['diff --from', 'diverged --from']
const WORDS: Readonly<Record<string, readonly string[]>> = {
  role: TOKEN_ROLES,
  stage: STAGES,
  type: ['text', 'json', 'bytes'],
  conflicts: ['keep', 'undo'],
  restart: ['never', 'on-failure', 'always'],
  'role-change': ['restart', 'signal', 'ignore'],
}
const ARGUMENTS: Partial<Record<CommandName, Takes>> = {
  systemd: ['node', 'run'],
  token: ['create', 'list', 'revoke'],
  diverged: ['list', 'rows', 'sql', 'delete'],
  settings: ['get', 'set', 'list', 'delete', 'import', 'rotate'],
  backup: ['now'],
  backups: ['name', 'forget'],
  diff: 'path',
  wal: 'path',
  completion: SHELLS,
}

/** Of every command, in the order of the main help. */
export async function commandWords(): Promise<CommandWords[]> {
  return Promise.all(
    COMMAND_NAMES.map(async (name) => {
      const flags = Object.entries(await FLAGS_OF[name]())
      const options = flags.map(([flag, { type }]) => ({ flag, takes: takesOf(name, flag, type) }))
      const codes = name === 'explain' && explainedCodes().map(({ code }) => code)
      return { name, options, argument: codes || (ARGUMENTS[name] ?? 'text') }
    }),
  )
}

function takesOf(command: CommandName, flag: string, type: 'string' | 'boolean'): Takes {
  if (type === 'boolean') return 'nothing'
  const kind = optionsOf('node').find((spec) => spec.flag === flag)?.kind
  const ofLogs = LOG_OPTIONS.find((option) => option.flag === flag)?.words
  const choices = ofLogs ?? WORDS[flag] ?? (kind && CHOICES[kind])
  if (choices) return choices
  const names = [flag, `${command} --${flag}`]
  const isNoPath = names.some((name) => NO_PATHS.includes(name))
  const isPath = names.some((name) => PATHS.includes(name)) || (kind && PATH_KINDS.has(kind))
  return isPath && !isNoPath ? 'path' : 'text'
}

function typeOf(kind: OptionSpec['kind']): 'string' | 'boolean' {
  return kind === 'flag' ? 'boolean' : 'string'
}
