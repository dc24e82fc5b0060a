/**
 * Compares a bundle with the live database, row by row, in a process of its own. The node can end
 * that process at any time, and its locks go with it.
 */
import { isErrorCode, WalcastError } from '../../errors.ts'
import { execFile } from '../../platform/processes.ts'
import { programPath } from '../../programs.ts'
import type { KeptRows } from './keptFolder.ts'

export interface RowResult {
  readonly rows: KeptRows
  /**
   * Whether the list has every difference: no table was skipped, the schemas agree, all pages are
   * sound, and the list has room for all rows.
   */
  readonly isComplete: boolean
}

export interface RowComparison {
  /** Throws the error that the process reported, or INTERNAL with its output. */
  readonly result: Promise<RowResult>
  stop(): void
}

/** `line` is that of an error of the catalogue, unless the process failed in another way. */
function failureOf(line: string, cause: unknown): WalcastError {
  const [, key = '', message] = /^WALCAST_([A-Z_]+): (.*)$/.exec(line) ?? []
  return isErrorCode(key)
    ? new WalcastError(key, { message }, cause)
    : new WalcastError('INTERNAL', { detail: line }, cause)
}

/**
 * Makes `database.db` and `rows.jsonl` in the bundle `folder` (see keptFolder.ts) from the rows
 * that the database `live` lacks, or that differ there.
 */
export function compareRows(folder: string, live: string): RowComparison {
  const stopped = new AbortController()
  const result = new Promise<RowResult>((resolve, reject) => {
    const options = { signal: stopped.signal, killSignal: 'SIGKILL' } as const
    execFile(
      process.execPath,
      [programPath('replica/diverged/keptRowsProgram'), folder, live],
      options,
      (error, output, said) => {
        const detail = said.trim().split('\n')[0] || error?.message || ''
        if (error) return reject(failureOf(detail, error))
        try {
          resolve(JSON.parse(output))
        } catch (cause) {
          reject(
            new WalcastError(
              'INTERNAL',
              { detail: `its answer was "${output.slice(0, 100)}"` },
              cause,
            ),
          )
        }
      },
    )
  })
  return { result, stop: () => stopped.abort() }
}
