/** Finds a program of this machine as a shell does. */
import { delimiter, join, resolve } from 'node:path'
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { statSync } from '../platform/files.ts'

const ANY_MAY_RUN = 0o111
const MAX_SHOWN_CHARS = 200

/**
 * The absolute path of a program: of a path its own, of a name the first on PATH. Throws USAGE when
 * there is none.
 */
export function executablePath(name: string, environment: NodeJS.ProcessEnv): string {
  const folders = name.includes('/') ? [''] : (environment['PATH'] ?? '').split(delimiter)
  const found = folders.map((folder) => resolve(join(folder, name))).find(isProgram)
  if (found !== undefined) return found
  const shown = plainText(name, MAX_SHOWN_CHARS)
  throw new WalcastError('USAGE', { detail: `there is no program "${shown}" to run` })
}

function isProgram(path: string): boolean {
  try {
    const found = statSync(path)
    return found.isFile() && (found.mode & ANY_MAY_RUN) !== 0
  } catch {
    return false
  }
}
