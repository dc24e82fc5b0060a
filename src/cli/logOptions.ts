/**
 * How a node logs: options of the command line, and not of a node, since a program that embeds one
 * brings a logger of its own. A flag beats the environment.
 */
import { WalcastError } from '../errors.ts'

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const FORMATS = ['pretty', 'json'] as const

export interface LogOption {
  readonly flag: 'log-level' | 'log-format'
  readonly value: string
  readonly help: string
  readonly words: readonly string[]
}

export const LOG_OPTIONS: readonly LogOption[] = [
  {
    flag: 'log-level',
    value: 'LEVEL',
    help: `how much is logged: ${LEVELS.join(', ')} [info]`,
    words: LEVELS,
  },
  {
    flag: 'log-format',
    value: 'FORMAT',
    help: 'how it looks: pretty or json [pretty on a terminal, else json]',
    words: FORMATS,
  },
]

export interface LogSettings {
  readonly level: string
  readonly isPretty: boolean
}

/** What `args`, which may have other options too, and the environment say. Throws USAGE. */
export function logSettings(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  isTerminal = process.stderr.isTTY === true,
): LogSettings {
  const [level, format] = LOG_OPTIONS.map((option) => wordOf(option, args, environment))
  return {
    level: level ?? 'info',
    isPretty: format === undefined ? isTerminal : format === 'pretty',
  }
}

/** Whether a person reads the log on a terminal that can replace a line. Throws USAGE. */
export function hasTerminalLog(args: readonly string[], environment: NodeJS.ProcessEnv): boolean {
  const isTerminal = process.stderr.isTTY === true && environment['TERM'] !== 'dumb'
  return isTerminal && logSettings(args, environment).isPretty
}

function wordOf(
  { flag, words }: LogOption,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): string | undefined {
  const variable = `WALCAST_${flag.replaceAll('-', '_').toUpperCase()}`
  const given = flagIn(args, flag)
  const text = given ?? (environment[variable] || undefined)
  if (text === undefined || words.includes(text)) return text
  const name = given === undefined ? variable : `--${flag}`
  throw new WalcastError('USAGE', {
    detail: `${name} wants one of ${words.join(', ')}, not "${text}"`,
  })
}

/** `--flag VALUE` or `--flag=VALUE`, before what follows `--`. */
function flagIn(args: readonly string[], flag: string): string | undefined {
  const end = args.indexOf('--')
  const before = end < 0 ? args : args.slice(0, end)
  const joined = before.find((arg) => arg.startsWith(`--${flag}=`))
  if (joined !== undefined) return joined.slice(flag.length + 3)
  const at = before.indexOf(`--${flag}`)
  return at < 0 ? undefined : before[at + 1]
}
