/**
 * Where options come from: flags, environment, file. A flag beats the environment, the environment
 * beats the file. Pure but for the file, which is read once.
 */
import { WalcastError } from '../errors.ts'
import type { OptionOrigin } from '../options/optionOrigin.ts'
import type { OptionSpec } from '../options/optionSpec.ts'
import { type ConfigFile, NO_CONFIG, placeOf, readConfig } from './configFile.ts'

export type Flags = Readonly<Record<string, string | boolean | undefined>>

export interface OptionSources {
  readonly flags: Flags
  readonly environment: NodeJS.ProcessEnv
  readonly file: ConfigFile
}

export interface GivenValue {
  readonly value: unknown
  readonly origin: OptionOrigin
}

/** The name of an option's environment variable. */
export function environmentName({ flag }: Pick<OptionSpec, 'flag'>): string {
  return `WALCAST_${flag.replaceAll('-', '_').toUpperCase()}`
}

/** Reads the file that `--config` or WALCAST_CONFIG names. Throws CONFIG_BAD. */
export function optionSources(flags: Flags, environment: NodeJS.ProcessEnv): OptionSources {
  const path = flags['config'] ?? (environment['WALCAST_CONFIG'] || undefined)
  return { flags, environment, file: typeof path === 'string' ? readConfig(path) : NO_CONFIG }
}

/** Why the file cannot be used. */
export interface UnreadFile {
  readonly path: string
  readonly detail: string
}

/** The same. A file that cannot be used counts as empty, and `unread` says why. */
export function readableSources(
  flags: Flags,
  environment: NodeJS.ProcessEnv,
): { readonly sources: OptionSources; readonly unread: UnreadFile | undefined } {
  try {
    return { sources: optionSources(flags, environment), unread: undefined }
  } catch (error) {
    if (!(error instanceof WalcastError)) throw error
    const { path, detail } = error.details
    const unread = { path: String(path), detail: String(detail) }
    return { sources: { flags, environment, file: NO_CONFIG }, unread }
  }
}

/**
 * What is given for an option; undefined for nothing. An empty variable, and an empty text of the
 * file, count as not set; an empty flag is a mistake, which its parser tells.
 */
export function givenIn(sources: OptionSources, flag: string): GivenValue | undefined {
  const { flags, environment, file } = sources
  const [flagged, variable] = [flags[flag], environmentName({ flag })]
  if (flagged !== undefined) return { value: flagged, origin: from('flag', `--${flag}`) }
  if (environment[variable])
    return { value: environment[variable], origin: from('environment', variable) }
  const value = Object.hasOwn(file.values, flag) ? file.values[flag] : undefined
  if (value === undefined || value === '') return undefined
  return { value, origin: from('file', placeOf(file, flag)) }
}

function from(kind: OptionOrigin['from'], detail: string): OptionOrigin {
  return { from: kind, detail }
}
