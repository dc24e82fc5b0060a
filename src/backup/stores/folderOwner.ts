/**
 * Who owns what is written into the folder of an archive. A command of root there, such as
 * `walcast restore` or `backups --verify`, may write into the archive of another user. The node of
 * that user could not read a file of root, and no longer remove anything then.
 *
 * Descriptors only, and no names: the owner of the folder may put something else under a name.
 */
import { dirname, resolve } from 'node:path'
import { systemCode } from '../../errors.ts'
import { makeFolder } from '../../platform/fileOps.ts'
import {
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  openSync,
  statSync,
} from '../../platform/files.ts'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants

/**
 * Gives the open file the owner and the group of the folder, as far as this user may. It stays as
 * it is when both have one owner.
 */
export function giveFolderOwner(fd: number, folder: string): void {
  const { uid, gid } = statSync(folder)
  if (fstatSync(fd).uid === uid) return
  try {
    fchownSync(fd, uid, gid)
  } catch (error) {
    // Not every user may, nor does every file system know owners.
    if (systemCode(error) === '') throw error
  }
}

/**
 * Makes a folder, and those above it up to `root`, where they are not there; each with the owner of
 * the one above. Throws as `makeFolder` does.
 */
export function makeOwnedFolder(folder: string, root: string): void {
  if (existsSync(folder)) return
  const isRoot = resolve(folder) === resolve(root)
  if (!isRoot) makeOwnedFolder(dirname(folder), root)
  makeFolder(folder)
  if (isRoot) return
  const fd = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    giveFolderOwner(fd, dirname(folder))
  } finally {
    closeSync(fd)
  }
}
