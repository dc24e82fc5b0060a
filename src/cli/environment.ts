/**
 * The environment variables that walcast knows. One that it does not know is most likely mistyped:
 * a node says so at its start.
 */
import type { Logger } from 'pino'
import { NODE_OPTIONS } from '../options/options.ts'
import { plainText } from '../plainText.ts'
import { nearestName } from './nearestName.ts'
import { environmentName } from './nodeArguments.ts'
import { OWN_FLAGS } from './runOptions.ts'

const PREFIX = 'WALCAST_'
/** Read by commands, and no options of a node. */
const OF_COMMANDS = ['SECRET', 'SECRET_FILE', 'CONFIG', 'NODE', 'LOG_LEVEL', 'DEBUG']
/**
 * Given to the application of `walcast run` and to `--on-role-change`, which may run walcast in
 * turn.
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
  'UPSTREAM_PORT',
]
/**
 * What Kubernetes and Docker tell each container of a service that is named walcast, or
 * walcast-something.
 */
const OF_SERVICES =
  /^WALCAST_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/
/** Variables that are named in one line. */
const MAX_NAMED = 10
const MAX_NAME_CHARS = 80

export const KNOWN_VARIABLES: ReadonlySet<string> = new Set([
  ...NODE_OPTIONS.map(environmentName),
  ...OWN_FLAGS.map((flag) => environmentName({ flag })),
  ...[...OF_COMMANDS, ...GIVEN].map((name) => PREFIX + name),
])

export interface UnknownVariable {
  readonly name: string
  /** What may be meant. */
  readonly nearest: string | undefined
}

/** Variables that begin with WALCAST_ and mean nothing. */
export function unknownVariables(environment: NodeJS.ProcessEnv): UnknownVariable[] {
  return Object.keys(environment)
    .filter(
      (name) => name.startsWith(PREFIX) && !KNOWN_VARIABLES.has(name) && !OF_SERVICES.test(name),
    )
    .map((name) => ({ name, nearest: nearestName(name, KNOWN_VARIABLES) }))
}

/** One line for all of them. */
export function warnOfUnknownVariables(
  environment: NodeJS.ProcessEnv,
  log: Pick<Logger, 'warn'>,
): void {
  const unknown = unknownVariables(environment)
  if (unknown.length === 0) return
  const named = unknown.slice(0, MAX_NAMED).map(({ name, nearest }) => {
    const shown = plainText(name, MAX_NAME_CHARS)
    return nearest ? `${shown} (${nearest}?)` : shown
  })
  const more = unknown.length > MAX_NAMED ? ` and ${unknown.length - MAX_NAMED} more` : ''
  log.warn(`walcast knows no environment variable ${named.join(', ')}${more}: ignored`)
}
