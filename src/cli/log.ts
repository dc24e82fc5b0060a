/** The log of a node. */
import pino, { type Logger } from 'pino'
import { WalcastError } from '../errors.ts'
import { shown } from './queryCommand.ts'

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

/**
 * Logs to standard error: JSON, or readable lines on a terminal. WALCAST_LOG_LEVEL sets the level.
 * Throws USAGE.
 */
export async function createLog(environment: NodeJS.ProcessEnv): Promise<Logger> {
  const options = {
    name: 'walcast',
    level: levelOf(environment['WALCAST_LOG_LEVEL'] || 'info'),
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  }
  const redact = ['secret', 'authorization', '*.secret', '*.authorization']
  if (!process.stderr.isTTY)
    return pino({ ...options, redact }, pino.destination({ dest: 2, sync: true }))
  // Loaded only on a terminal, since a node has to start fast.
  const { default: pretty } = await import('pino-pretty')
  const stream = pretty({
    destination: 2,
    sync: true,
    translateTime: 'HH:MM:ss.l',
    ignore: 'name,pid,hostname',
    colorize: !environment['NO_COLOR'],
  })
  return pino({ ...options, redact, hooks: { streamWrite: forTerminal } }, stream)
}

/**
 * A line of the log without characters that could steer the terminal. pino writes control
 * characters below U+0080 as escapes, and pino-pretty leaves those out of messages.
 */
export function forTerminal(line: string): string {
  return `${shown(line.trimEnd())}\n`
}

function levelOf(given: string): string {
  if (LEVELS.includes(given)) return given
  throw new WalcastError('USAGE', {
    detail: `WALCAST_LOG_LEVEL wants one of ${LEVELS.join(', ')}, not "${given}"`,
  })
}
