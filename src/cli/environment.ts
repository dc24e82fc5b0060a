/**
 * The environment variables that walcast knows. A variable that it does not know is probably a
 * typing error, so a node warns of it at its start.
 */
import type { Logger } from 'pino'
import { NODE_OPTIONS } from '../options/options.ts'
import { plainText } from '../plainText.ts'
import { nearestName } from './nearestName.ts'
import { environmentName } from './nodeArguments.ts'
import { OWN_FLAGS } from './runOptions.ts'

const PREFIX = 'WALCAST_'
/** Read by commands; not options of a node. */
const OF_COMMANDS = [
  ...['SECRET', 'SECRET_FILE', 'TOKEN', 'TOKEN_FILE', 'IDENTITY'],
  ...['ELECTION_PASSWORD', 'ELECTION_PASSWORD_FILE'],
  ...['CONFIG', 'NODE', 'LOG_LEVEL', 'LOG_FORMAT', 'DEBUG'],
]
/**
 * Set for the application of `walcast run` and for `--on-role-change`. Both may run walcast, which
 * then finds them in its environment.
 */
const GIVEN = [
  'ROLE',
  'WAS',
  'EPOCH',
  'TXID',
  'POSITION',
  'NODE',
  'NODE_URL',
  'LEADER',
  'DB',
  'REASON',
  'BY',
  'UPSTREAM_PORT',
]
/**
 * Set by Kubernetes and Docker in each container, for a service named walcast or
 * walcast-something.
 */
const SERVICE_PORT = 'PORT(_\\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?'
const OF_SERVICES = new RegExp(
  `^WALCAST_(\\w+_)?(SERVICE_HOST|SERVICE_PORT(_\\w+)?|${SERVICE_PORT})$`,
)
/** The most variables that the warning names. */
const MAX_NAMED = 10
const MAX_NAME_CHARS = 80

export const KNOWN_VARIABLES: ReadonlySet<string> = new Set([
  ...NODE_OPTIONS.map(environmentName),
  ...OWN_FLAGS.map((flag) => environmentName({ flag })),
  ...[...OF_COMMANDS, ...GIVEN].map((name) => PREFIX + name),
])

export interface UnknownVariable {
  readonly name: string
  /** The variable that was probably meant. */
  readonly nearest: string | undefined
}

/** Variables that begin with WALCAST_ and that nothing reads. */
export function unknownVariables(environment: NodeJS.ProcessEnv): UnknownVariable[] {
  return Object.keys(environment)
    .filter(
      (name) => name.startsWith(PREFIX) && !KNOWN_VARIABLES.has(name) && !OF_SERVICES.test(name),
    )
    .map((name) => ({ name, nearest: nearestName(name, KNOWN_VARIABLES) }))
}

/** Logs one line that names them all. */
export function warnOfUnknownVariables(
  environment: NodeJS.ProcessEnv,
  log: Pick<Logger, 'warn'>,
): void {
  const text = unknownVariablesText(environment)
  if (text !== undefined) log.warn(`ignoring ${text}`)
}

/** One text that names them all; undefined when there is none. */
export function unknownVariablesText(environment: NodeJS.ProcessEnv): string | undefined {
  const unknown = unknownVariables(environment)
  if (unknown.length === 0) return undefined
  const named = unknown.slice(0, MAX_NAMED).map(({ name, nearest }) => {
    const shown = plainText(name, MAX_NAME_CHARS)
    return nearest ? `${shown} (did you mean ${nearest}?)` : shown
  })
  const more = unknown.length > MAX_NAMED ? ` and ${unknown.length - MAX_NAMED} more` : ''
  return `unknown environment variables: ${named.join(', ')}${more}`
}
