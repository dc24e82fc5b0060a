/** The TOML file of options (`--config`). Its keys are the names of the flags. */
import { parse as parseToml } from 'smol-toml'
import { messageOf, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { readFileSync } from '../platform/files.ts'
import { nearestName } from './nearestName.ts'

const MAX_NAME_CHARS = 80

export interface ConfigFile {
  /** '' when there is none. */
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
  /** The file's text, to find lines in. */
  readonly text: string
}

export const NO_CONFIG: ConfigFile = { path: '', values: {}, text: '' }

/** Throws CONFIG_BAD for a file that cannot be read, or that is no TOML. */
export function readConfig(path: string): ConfigFile {
  try {
    const text = readFileSync(path, 'utf8')
    return { path, text, values: parseToml(text) }
  } catch (error) {
    throw new WalcastError('CONFIG_BAD', { path, detail: messageOf(error).split('\n')[0] }, error)
  }
}

/** One text that names the keys that no option has, each with the one that was probably meant. */
export function unknownKeys({ values }: ConfigFile, known: ReadonlySet<string>): string[] {
  const unknown = Object.keys(values).filter((key) => !known.has(key))
  if (unknown.length === 0) return []
  const named = unknown.map((key) => {
    const nearest = nearestName(key, known)
    const shown = plainText(key, MAX_NAME_CHARS)
    return nearest ? `${shown} (did you mean ${nearest}?)` : shown
  })
  return [`unknown keys: ${named.join(', ')}`]
}

/**
 * PATH:LINE of a key, or PATH where the line is not certain: TOML has no key twice, so another line
 * that looks like it is part of a text.
 */
export function placeOf({ path, text }: ConfigFile, key: string): string {
  const begins = new RegExp(`^\\s*(["']?)${key}\\1\\s*=`)
  const at = text.split('\n').flatMap((line, i) => (begins.test(line) ? [i + 1] : []))
  return at.length === 1 ? `${path}:${at[0]}` : path
}
