/** Flags of the commands that ask a node. */
import { hostname, userInfo } from 'node:os'
import { parseArgs } from 'node:util'
import { messageOf, WalcastError } from '../errors.ts'
import { parseValue } from '../node/optionValues.ts'

const DEFAULT_NODE = '127.0.0.1:8470'

export const NODE_FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  node: { type: 'string' },
} as const

type FlagKinds = Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>
type FlagValues<T extends FlagKinds> = {
  readonly [Flag in keyof T]?: (T[Flag]['type'] extends 'boolean' ? boolean : string) | undefined
}

/** Throws USAGE. */
export function parseFlags<T extends FlagKinds>(args: readonly string[], options: T): FlagValues<T> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values as FlagValues<T>
  } catch (error) {
    throw new WalcastError('USAGE', { detail: messageOf(error).split('. ')[0] }, error)
  }
}

/** The node to ask: from --node, else WALCAST_NODE, else one on this machine. */
export function nodeOf(flag: string | undefined): string {
  return flag ?? process.env['WALCAST_NODE'] ?? DEFAULT_NODE
}

/** A time such as 30s in milliseconds, or undefined when it is not given. Throws USAGE. */
export function durationOf(flag: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(parseValue(flag, 'duration', text))
}

/** Who runs the command, as `user@host`, for the audit log of the node. */
export function operator(): string {
  return `${userName()}@${hostname()}`
}

/** A user without a line in the list of users has none: a container may run so. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`
  }
}
