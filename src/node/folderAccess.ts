/**
 * Only the user that runs the node may enter its folder. A folder that existed before the node may
 * be open to others.
 */
import type { Logger } from 'pino'
import { messageOf, WalcastError } from '../errors.ts'
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  statSync,
} from '../platform/files.ts'

const OTHERS = 0o077

/**
 * Whoever owns the folder at `path` can put keys, secrets and a control socket there, so it is that
 * of the user that runs this node, or of root. Throws FOLDER_FOREIGN.
 */
export function requireOwnFolder(path: string): void {
  const { uid } = statSync(path)
  const own = process.geteuid?.() ?? uid
  if (uid !== own && uid !== 0) throw new WalcastError('FOLDER_FOREIGN', { path, uid, own })
}

/**
 * Closes the folder at `path` to other users if it belongs to this user. A folder behind a symbolic
 * link stays as it is: other programs may use it too. What it may not change, it logs.
 */
export function keepOthersOut(path: string, log: Logger): void {
  const { mode } = statSync(path)
  if ((mode & OTHERS) === 0) return
  try {
    const to = narrow(path)
    log.warn(
      { path, from: octal(mode), to: octal(to) },
      'other users could enter the node folder; closed to them',
    )
  } catch (error) {
    log.warn(
      { path, mode: octal(mode), error: messageOf(error) },
      'other users may enter the node folder; give it mode 0700 and make it belong to the user ' +
        'that runs this node',
    )
  }
}

function narrow(path: string): number {
  if (lstatSync(path).isSymbolicLink()) throw new Error('it lies behind a symbolic link')
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    const { mode, uid } = fstatSync(fd)
    if (uid !== process.geteuid?.()) throw new Error(`it belongs to user ${uid}`)
    const to = mode & 0o7777 & ~OTHERS
    fchmodSync(fd, to)
    return to
  } finally {
    closeSync(fd)
  }
}

function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8)}`
}
