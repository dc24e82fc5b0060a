/**
 * Options of a node from flags, environment and file. A flag beats the environment, the environment
 * beats the file.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parse as parseToml } from 'smol-toml'
import { messageOf, WalcastError } from '../errors.ts'
import type { StartAs } from '../node/nodeFolder.ts'
import { defaultOptions } from '../options/defaults.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { type OptionSpec, tunes } from '../options/optionSpec.ts'
import { NODE_OPTIONS } from '../options/options.ts'
import { parseValue } from '../options/optionValues.ts'
import { readFileSync } from '../platform/files.ts'
import { flagError, joinNegatives } from './commandArguments.ts'
import { LOG_OPTIONS } from './logOptions.ts'

/** Of the place of an archive that is no folder, or that is mistyped as one. */
const SCHEME = /^[a-z][a-z0-9+.-]*:/i

/** The name of an option's environment variable. */
export function environmentName(spec: Pick<OptionSpec, 'flag'>): string {
  return `WALCAST_${spec.flag.replaceAll('-', '_').toUpperCase()}`
}

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

/**
 * Reads options that tune the other role too, from environment and file: the node may change its
 * role while it runs. Throws USAGE, which names every problem at once, or CONFIG_BAD.
 */
export function nodeOptions(
  role: StartAs,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): NodeOptions {
  const flags = parseFlags(args)
  const configPath = flags['config'] ?? environment['WALCAST_CONFIG']
  const file = typeof configPath === 'string' ? readConfig(configPath) : {}
  const specs = NODE_OPTIONS.filter((spec) => isOf(spec, role) || tunes(spec))
  const problems: string[] = unknownFlags(role, flags)
  const options: Record<string, unknown> = defaultOptions()
  for (const spec of specs) {
    const given = flags[spec.flag] ?? environment[environmentName(spec)] ?? file[spec.flag]
    // An empty variable counts as not set; an empty flag is a mistake.
    if (given === undefined || (given === '' && flags[spec.flag] === undefined)) {
      if (isRequired(spec, role)) problems.push(`--${spec.flag} ${spec.value} is required`)
      continue
    }
    try {
      if (spec.kind === 'fileMode' && typeof given === 'number') throw unquotedMode(spec)
      options[spec.key] = parseValue(spec.flag, spec.kind, String(given))
    } catch (error) {
      problems.push(messageOf(error))
    }
  }
  if (problems.length > 0) throw new WalcastError('USAGE', { detail: problems.join('; ') })
  return options as unknown as NodeOptions
}

/**
 * The flags that make a node with the same options when nothing is in its environment: those of
 * `args`, and the options that the environment sets, with paths made absolute. Throws USAGE.
 */
export function lastingArguments(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): readonly string[] {
  const flags = parseFlags(args)
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

type Flags = Record<string, string | boolean | undefined>

function parseFlags(args: readonly string[]): Flags {
  const options: Record<string, { type: 'string' | 'boolean' }> = { config: { type: 'string' } }
  for (const { flag } of LOG_OPTIONS) options[flag] = { type: 'string' }
  for (const spec of NODE_OPTIONS)
    options[spec.flag] = { type: spec.kind === 'flag' ? 'boolean' : 'string' }
  try {
    return parseArgs({ args: joinNegatives(args, options), options, allowPositionals: false })
      .values as Flags
  } catch (error) {
    throw flagError(error, options)
  }
}

function unknownFlags(role: StartAs, flags: Flags): string[] {
  return NODE_OPTIONS.filter((spec) => !isOf(spec, role) && flags[spec.flag] !== undefined).map(
    (spec) => `--${spec.flag} is not an option of a ${role}`,
  )
}

function readConfig(path: string): Readonly<Record<string, unknown>> {
  let values: Record<string, unknown>
  try {
    values = parseToml(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new WalcastError('CONFIG_BAD', { path, detail: messageOf(error).split('\n')[0] }, error)
  }
  const known = new Set(NODE_OPTIONS.map((spec) => spec.flag))
  const unknown = Object.keys(values).filter((key) => !known.has(key))
  if (unknown.length > 0)
    throw new WalcastError('CONFIG_BAD', { path, detail: `unknown keys: ${unknown.join(', ')}` })
  return values
}
