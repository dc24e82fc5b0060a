/** Options that a program gives. The rules of the command line hold for them as well. */
import { resolve } from 'node:path'
import Database from 'better-sqlite3'
import type { Logger } from 'pino'
import { messageOf, WalcastError } from '../errors.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { type OptionSpec, tunes } from '../options/optionSpec.ts'
import { NODE_OPTIONS } from '../options/options.ts'
import { MAX_DURATION_MS, parseValue } from '../options/optionValues.ts'

export interface OpenOptions extends Partial<Omit<NodeOptions, 'db'>> {
  /** Path of the database file, or an open handle on it, which stays the caller's. */
  readonly db: string | Database.Database
  /**
   * The cluster secret, at least 16 characters. Without one a leader that listens beyond loopback
   * makes one, and other nodes get it by pairing.
   */
  readonly secret?: string | undefined
  /** Nothing is logged without one. */
  readonly log?: Logger
}

export interface ReplicaOpenOptions extends OpenOptions {
  /** HOST:PORT of the leader. */
  readonly leader: string
}

const LISTS = {
  prefixes: 'a list of paths',
  addresses: 'a list of HOST:PORT',
  networks: 'a list of networks',
}

/**
 * The options that are given and not undefined. Options that tune the other role are accepted: the
 * node may come to have that role. Throws USAGE, naming every problem at once.
 */
export function embeddedOptions(
  role: 'leader' | 'replica' | 'node',
  given: Readonly<Record<string, unknown>>,
): Partial<NodeOptions> {
  const problems: string[] = []
  const options: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue
    const spec = NODE_OPTIONS.find((known) => known.key === key)
    const isOfRole = role === 'node' || spec?.roles.includes(role)
    if (!spec) problems.push(`${key} is not an option`)
    else if (!isOfRole && !tunes(spec)) {
      if (value !== false) problems.push(`${key} is not an option of a ${role}`)
    } else
      try {
        options[key] = checkedValue(spec, value)
      } catch (error) {
        problems.push(messageOf(error))
      }
  }
  if (problems.length > 0) throw new WalcastError('USAGE', { detail: problems.join('; ') })
  return options
}

/**
 * The path of a database file, given as such or by an open handle. Throws USAGE or FOREIGN_HANDLE.
 */
export function pathOf(db: unknown): string {
  if (typeof db === 'object' && db !== null && !(db instanceof Database))
    throw new WalcastError('FOREIGN_HANDLE')
  const path = db instanceof Database ? db.name : db
  if (typeof path !== 'string' || path === '' || path === ':memory:')
    throw new WalcastError('USAGE', {
      detail: 'db must be the path of a database file or a handle on one',
    })
  return resolve(path)
}

function checkedValue(spec: OptionSpec, value: unknown): unknown {
  const { key, kind } = spec
  switch (kind) {
    case 'bytes':
    case 'number':
      if (Number.isSafeInteger(value) && Number(value) >= 0) return value
      throw wrong(key, 'a whole number', value)
    case 'duration':
      if (typeof value === 'number' && value >= 1 && value <= MAX_DURATION_MS) return value
      throw wrong(key, 'milliseconds, from 1 to 24 hours', value)
    case 'flag':
      if (typeof value === 'boolean') return value
      throw wrong(key, 'true or false', value)
    case 'fileMode':
      if (typeof value === 'number') return parseValue(spec.flag, kind, value.toString(8))
      throw wrong(key, 'permission bits such as 0o640', value)
    case 'statuses':
      if (!Array.isArray(value)) throw wrong(key, 'a list of statuses', value)
      return parseValue(spec.flag, kind, value.length === 0 ? 'none' : value.join(','))
    case 'prefixes':
    case 'addresses':
    case 'networks':
      if (!Array.isArray(value) || value.some((each) => typeof each !== 'string'))
        throw wrong(key, LISTS[kind], value)
      return parseValue(spec.flag, kind, value.join(','))
    default:
      if (typeof value !== 'string') throw wrong(key, 'a text', value)
      return parseValue(spec.flag, kind, value)
  }
}

function wrong(key: string, wanted: string, value: unknown): WalcastError {
  return new WalcastError('USAGE', { detail: `${key} wants ${wanted}, not ${String(value)}` })
}
