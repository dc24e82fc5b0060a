/**
 * How a node logs: options of the command line, and not of a node, since a program that embeds one
 * brings a logger of its own. A flag beats the environment, the environment beats the file.
 */
import { messageOf, WalcastError } from '../errors.ts'
import { DEFAULT_ORIGIN } from '../options/optionOrigin.ts'
import type { ShownOption } from '../options/shownOptions.ts'
import {
  type Flags,
  type GivenValue,
  givenIn,
  type OptionSources,
  optionSources,
  readableSources,
} from './optionSources.ts'

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

/**
 * What `args`, which may have other options too, the environment and the file say. Throws USAGE, or
 * CONFIG_BAD.
 */
export function logSettings(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  isTerminal = process.stderr.isTTY === true,
): LogSettings {
  const sources = sourcesOf(args, environment)
  const [level, format] = LOG_OPTIONS.map((option) => givenWord(option, sources)?.value)
  return {
    level: level === undefined ? 'info' : String(level),
    isPretty: format === undefined ? isTerminal : format === 'pretty',
  }
}

/** One text for each mistake in them, as far as the file can be read. */
export function logProblems(args: readonly string[], environment: NodeJS.ProcessEnv): string[] {
  const { sources } = readableSources(flagsIn(args), environment)
  return LOG_OPTIONS.flatMap((option) => {
    try {
      givenWord(option, sources)
      return []
    } catch (error) {
      return [messageOf(error)]
    }
  })
}

/** Whether a person reads the log on a terminal that can replace a line. Throws USAGE. */
export function hasTerminalLog(args: readonly string[], environment: NodeJS.ProcessEnv): boolean {
  const isTerminal = process.stderr.isTTY === true && environment['TERM'] !== 'dumb'
  return isTerminal && logSettings(args, environment).isPretty
}

/** The same with where each came from. Throws what `logSettings` throws. */
export function shownLogOptions(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  isTerminal = process.stderr.isTTY === true,
): ShownOption[] {
  const sources = sourcesOf(args, environment)
  const fallbacks = { 'log-level': 'info', 'log-format': isTerminal ? 'pretty' : 'json' } as const
  return LOG_OPTIONS.map((option) => {
    const { flag, help } = option
    const given = givenWord(option, sources)
    const fallback = fallbacks[flag]
    const value = given ? String(given.value) : fallback
    return {
      ...{ name: `--${flag}`, group: 'Log', value, default: fallback, help },
      origin: given?.origin ?? DEFAULT_ORIGIN,
      isChanged: value !== fallback,
    }
  })
}

function sourcesOf(args: readonly string[], environment: NodeJS.ProcessEnv): OptionSources {
  return optionSources(flagsIn(args), environment)
}

function flagsIn(args: readonly string[]): Flags {
  const flags = [...LOG_OPTIONS.map(({ flag }) => flag), 'config']
  return Object.fromEntries(flags.map((flag) => [flag, flagIn(args, flag)]))
}

/** Throws USAGE. */
function givenWord({ flag, words }: LogOption, sources: OptionSources): GivenValue | undefined {
  const given = givenIn(sources, flag)
  if (given === undefined || words.includes(String(given.value))) return given
  const { from, detail } = given.origin
  const name = from === 'file' ? `${flag} in ${detail}` : detail
  throw new WalcastError('USAGE', {
    detail: `${name} wants one of ${words.join(', ')}, not "${given.value}"`,
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
