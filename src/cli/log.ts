/** The log of a node. */
import pino, { type Logger } from 'pino'
import { hasTerminalLog, logSettings } from './logOptions.ts'
import { shown } from './queryCommand.ts'

/**
 * Logs to standard error: JSON, or readable lines, one for each event. `args`: of a command that
 * runs a node. Throws USAGE.
 */
export async function createLog(
  environment: NodeJS.ProcessEnv,
  args: readonly string[] = [],
): Promise<Logger> {
  const { level, isPretty } = logSettings(args, environment)
  const options = {
    name: 'walcast',
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const redact = ['secret', 'authorization', '*.secret', '*.authorization']
  if (!isPretty) return pino({ ...options, redact }, pino.destination({ dest: 2, sync: true }))
  // Loaded only for a person, since a node has to start fast.
  const { default: pretty } = await import('pino-pretty')
  const stream = pretty({
    destination: 2,
    sync: true,
    // In local time, as the clock on the wall beside it, with its distance from UTC.
    translateTime: 'SYS:HH:MM:ss.l o',
    ignore: 'name,pid,hostname',
    colorize: process.stderr.isTTY === true && !environment['NO_COLOR'],
    singleLine: true,
    // Texts have the terminal's own colour: that is readable on light and on dark ground.
    customColors: 'message:reset,greyMessage:reset',
    useOnlyCustomProps: false,
    // A progress bar may stand in the line that this one begins.
    ...(hasTerminalLog(args, environment) && {
      customPrettifiers: { time: (time: string | object) => `\x1b[K[${time}]` },
    }),
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
