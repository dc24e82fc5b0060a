import pino, { type Logger } from 'pino'
import pretty from 'pino-pretty'

/** Logs to standard error: JSON, or one readable line each on a terminal. WALCAST_LOG_LEVEL sets the level. */
export function createLog(environment: NodeJS.ProcessEnv): Logger {
  const options = {
    name: 'walcast',
    level: environment['WALCAST_LOG_LEVEL'] ?? 'info',
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  }
  const redact = ['secret', 'authorization', '*.secret', '*.authorization']
  if (!process.stderr.isTTY) return pino({ ...options, redact }, pino.destination({ dest: 2, sync: true }))
  const stream = pretty({
    destination: 2,
    sync: true,
    translateTime: 'HH:MM:ss.l',
    ignore: 'name,pid,hostname',
    colorize: !environment['NO_COLOR'],
  })
  return pino({ ...options, redact }, stream)
}
