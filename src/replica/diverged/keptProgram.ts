/** Runs a program that reads a bundle, in a process of its own: its locks go with it. */
import { isErrorCode, WalcastError } from '../../errors.ts'
import { execFile } from '../../platform/processes.ts'
import { type Program, programPath } from '../../programs.ts'

export interface ProgramLimits {
  /** Ends the process. */
  readonly signal: AbortSignal
  /** How long it may run; 0: without end. */
  readonly timeoutMs: number
  readonly maxAnswerBytes: number
}

/** `line` is that of an error of the catalogue, unless the process failed in another way. */
function failureOf(line: string, cause: unknown): WalcastError {
  const [, key = '', message] = /^WALCAST_([A-Z_]+): (.*)$/.exec(line) ?? []
  return isErrorCode(key)
    ? new WalcastError(key, { message }, cause)
    : new WalcastError('INTERNAL', { detail: line }, cause)
}

/**
 * The JSON that the program prints. Throws the error that it reported, or INTERNAL with its output.
 */
export function runKeptProgram<T>(
  program: Program,
  args: readonly string[],
  { signal, timeoutMs, maxAnswerBytes }: ProgramLimits,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const options = {
      signal,
      killSignal: 'SIGKILL',
      timeout: timeoutMs,
      maxBuffer: maxAnswerBytes,
    } as const
    execFile(process.execPath, [programPath(program), ...args], options, (error, output, said) => {
      const detail = said.trim().split('\n')[0] || error?.message || ''
      if (error) return reject(failureOf(detail, error))
      try {
        resolve(JSON.parse(output))
      } catch (cause) {
        const shown = output.slice(0, 100)
        reject(new WalcastError('INTERNAL', { detail: `its answer was "${shown}"` }, cause))
      }
    })
  })
}
