/**
 * Who owns the notes in the folder of an archive: pins, names, what is broken. A command of root,
 * such as `walcast restore` or `backups --verify`, writes some into the archive of another user.
 * The node of that user could not read a note of root, and no longer remove anything then.
 *
 * Files with pages stay as who writes them makes them: nobody gets to read the database by this.
 * Descriptors only, and no names: the owner of a folder may put something else under a name.
 */
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
const NOTE = /^(?:pins|removals|points|broken)\//

export function isNoteName(name: string): boolean {
  return NOTE.test(name)
}

/**
 * Gives what is open the owner and the group of the folder, as far as this user may. It stays as it
 * is when both have one owner.
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
 * Makes a folder of notes in `archive`, with its owner, if it is not there. Throws as `makeFolder`
 * does.
 */
export function makeNoteFolder(folder: string, archive: string): void {
  if (existsSync(folder)) return
  makeFolder(folder)
  const fd = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    giveFolderOwner(fd, archive)
  } finally {
    closeSync(fd)
  }
}
