/** How a finished file gets its name and its owner. */
import { systemCode } from '../errors.ts'
import { existsSync, lchownSync, linkSync, renameSync, unlinkSync } from './files.ts'

/** As far as this user may. */
export function giveOwner(path: string, uid: number, gid: number): void {
  try {
    lchownSync(path, uid, gid)
  } catch (error) {
    if (systemCode(error) !== 'EPERM') throw error
  }
}

/**
 * link(2) fails when `to` exists, rename(2) would replace it; file systems without hard links get
 * the rename.
 */
export function linkOrRename(from: string, to: string): void {
  try {
    linkSync(from, to)
    unlinkSync(from)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCode(error))) throw error
    if (existsSync(to)) throw error
    renameSync(from, to)
  }
}
