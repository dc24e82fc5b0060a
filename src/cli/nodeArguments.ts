/**
 * Options of a node from flags, environment and file. A flag beats the environment, the environment
 * beats the file.
 */
import { resolve } from 'node:path'
import { messageOf, WalcastError } from '../errors.ts'
import type { StartAs } from '../node/nodeFolder.ts'
import { defaultOptions } from '../options/defaults.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import type { OptionOrigin, OptionOrigins } from '../options/optionOrigin.ts'
import { optionProblems } from '../options/optionProblems.ts'
import { type OptionSpec, tunes } from '../options/optionSpec.ts'
import { NODE_OPTIONS } from '../options/options.ts'
import { parseValue } from '../options/optionValues.ts'
import { unknownKeys } from './configFile.ts'
import { LOG_OPTIONS } from './logOptions.ts'
import { readFlags } from './nodeFlags.ts'
import { environmentName, type Flags, givenIn, readableSources } from './optionSources.ts'

/** Of the place of an archive that is no folder, or that is mistyped as one. */
const SCHEME = /^[a-z][a-z0-9+.-]*:/i

/** The keys that the file may have. */
const FILE_KEYS: ReadonlySet<string> = new Set(
  [...NODE_OPTIONS, ...LOG_OPTIONS].map(({ flag }) => flag),
)

export { environmentName } from './optionSources.ts'

export function optionsOf(role: StartAs): readonly OptionSpec[] {
  return NODE_OPTIONS.filter((spec) => isOf(spec, role))
}

/** A node of either role takes the options of both. */
function isOf({ roles }: OptionSpec, role: StartAs): boolean {
  return role === 'node' || roles.includes(role)
}

/** `walcast node` needs no --leader: without it, it leads on its first start. */
export function isRequired({ required, key }: OptionSpec, role: StartAs): boolean {
  return required === true && (role === 'replica' || key !== 'leader')
}

/** The options of a node, and where each of them came from. */
export interface GivenOptions {
  readonly options: NodeOptions
  readonly origins: OptionOrigins
}

/** The options alone. Throws what `givenOptions` throws. */
export function nodeOptions(
  role: StartAs,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): NodeOptions {
  return givenOptions(role, args, environment).options
}

/**
 * Reads options that tune the other role too, from environment and file: the node may change its
 * role while it runs. Throws USAGE, or CONFIG_BAD where the file has unknown keys. Either names
 * every problem at once.
 */
export function givenOptions(
  role: StartAs,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): GivenOptions {
  const { options, origins, problems, badFile, isFileRead } = readOptions(role, args, environment)
  // Values in the wrong order are told at the start as well, and here with the other mistakes.
  const fit = problems.length > 0 && isFileRead ? optionProblems(options) : []
  const detail = [...problems, ...fit].join('; ')
  if (badFile !== undefined) throw new WalcastError('CONFIG_BAD', { path: badFile, detail })
  if (problems.length > 0) throw new WalcastError('USAGE', { detail })
  return { options, origins }
}

/** What could be read, and what is wrong with the rest. */
export interface ReadOptions extends GivenOptions {
  /** One text for each mistake. How options fit each other is not looked at. */
  readonly problems: readonly string[]
  /** The file's path when the file itself is wrong: no TOML, or with unknown keys. */
  readonly badFile: string | undefined
  /** False: the file may have options that nobody knows of. */
  readonly isFileRead: boolean
}

/** The same as `givenOptions`. Throws nothing. */
export function readOptions(
  role: StartAs,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): ReadOptions {
  const { flags, problems: inFlags } = readFlags(args)
  const { sources, unread } = readableSources(flags, environment)
  const unknown = unread ? [unread.detail] : unknownKeys(sources.file, FILE_KEYS)
  const problems: string[] = [...inFlags, ...unknownFlags(role, flags)]
  const options: Record<string, unknown> = defaultOptions()
  const origins = new Map<string, OptionOrigin>()
  for (const spec of NODE_OPTIONS) {
    if (!isOf(spec, role) && !tunes(spec)) continue
    const given = givenIn(sources, spec.flag)
    if (!given) {
      // It may be in the file that cannot be read.
      if (isRequired(spec, role) && !unread)
        problems.push(`--${spec.flag} ${spec.value} is required`)
      continue
    }
    try {
      if (spec.kind === 'fileMode' && typeof given.value === 'number') throw unquotedMode(spec)
      options[spec.key] = parseValue(spec.flag, spec.kind, String(given.value))
      origins.set(spec.flag, given.origin)
    } catch (error) {
      problems.push(messageOf(error))
    }
  }
  return {
    options: options as unknown as NodeOptions,
    origins,
    problems: [...unknown, ...problems],
    badFile: unread?.path ?? (unknown.length > 0 ? sources.file.path : undefined),
    isFileRead: unread === undefined,
  }
}

/**
 * The flags that make a node with the same options when nothing is in its environment: those of
 * `args`, and the options that the environment sets, with paths made absolute. Throws USAGE.
 */
export function lastingArguments(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): readonly string[] {
  const { flags, problems } = readFlags(args)
  if (problems.length > 0) throw new WalcastError('USAGE', { detail: problems.join('; ') })
  const lasting: string[] = []
  const add = (flag: string, kind: OptionSpec['kind'], given: string | boolean | undefined) => {
    if (given === undefined || given === '' || given === false || given === 'false') return
    if (kind === 'flag') lasting.push(`--${flag}`)
    else lasting.push(`--${flag}`, lastingValue(kind, String(given)))
  }
  for (const spec of NODE_OPTIONS)
    add(spec.flag, spec.kind, flags[spec.flag] ?? environment[environmentName(spec)])
  for (const { flag } of LOG_OPTIONS) add(flag, 'text', flags[flag])
  add('config', 'path', flags['config'] ?? environment['WALCAST_CONFIG'])
  return lasting
}

/** The same from every working folder. */
function lastingValue(kind: OptionSpec['kind'], given: string): string {
  if (kind === 'path') return resolve(given)
  if (kind !== 'place' && kind !== 'places') return given
  const places = given.split(',').map((place) => place.trim())
  return places.map((place) => (SCHEME.test(place) ? place : resolve(place))).join(',')
}

/** TOML reads 0640 without quotation marks as a number, and its digits are lost. */
function unquotedMode({ flag }: OptionSpec): WalcastError {
  return new WalcastError('USAGE', {
    detail: `${flag} wants a mode in quotation marks, such as "0640"`,
  })
}

function unknownFlags(role: StartAs, flags: Flags): string[] {
  return NODE_OPTIONS.filter((spec) => !isOf(spec, role) && flags[spec.flag] !== undefined).map(
    (spec) => `--${spec.flag} is not an option of a ${role}`,
  )
}
