/**
 * Where a node puts files that it restores for those who ask it: one folder, and nothing below or
 * beside it. Whoever has stolen a token reaches no other file of the machine.
 */
import { join } from 'node:path'
import { WalcastError } from '../../errors.ts'
import { plainText } from '../../plainText.ts'
import { makeFolder } from '../../platform/fileOps.ts'
import { existsSync, lstatSync, realpathSync } from '../../platform/files.ts'
import { freeBytes } from '../../platform/freeBytes.ts'
import { type RestorePlace, restorePlace } from '../replacedFile.ts'
import type { RestoredTarget } from './pastOrder.ts'

const MIB = 1024 * 1024
const MAX_SHOWN_CHARS = 100
const NAME = /^[A-Za-z0-9][\w.-]{0,99}$/
/** SQLite, and a restore, would take such a file for a part of another one. */
const PARTS = /-(?:wal|shm|journal|restoring|walcast)$|\.lock$/i

/** Throws RESTORE_REFUSED for what is no name of a file in the folder. */
export function requireRestoredName(name: string): void {
  if (NAME.test(name) && !PARTS.test(name)) return
  throw new WalcastError('RESTORE_REFUSED', {
    path: plainText(name, MAX_SHOWN_CHARS),
    detail: 'it is no name of a file in the folder for restored files (--restore-to)',
    cure: 'give a name of up to 100 letters, digits, ".", "_" and "-", such as restored.db',
  })
}

/**
 * Undefined for a file that stays in the work folder. `archive`: its folder, if it is one. Throws
 * RESTORE_REFUSED, and what `restorePlace` does.
 */
export function restoredPlace(
  { folder, name, isForced }: Pick<RestoredTarget, 'folder' | 'name' | 'isForced'>,
  archive: string | undefined,
): RestorePlace | undefined {
  if (name === undefined) return undefined
  requireRestoredName(name)
  makeFolder(folder)
  const path = join(realpathSync(folder), name)
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())
    throw new WalcastError('RESTORE_REFUSED', { path, detail: 'it is a link' })
  return restorePlace(path, isForced, archive)
}

/** Whether something has that name already. */
export function isTaken(folder: string, name: string): boolean {
  return existsSync(join(folder, name))
}

/** Throws RESTORE_NO_ROOM when the disk of `path` has not `bytes` beside `reserve`. */
export function requireDiskRoom(path: string, bytes: number, reserve: number): void {
  const free = freeBytes(path)
  if (free - reserve >= bytes) return
  throw new WalcastError('RESTORE_NO_ROOM', {
    path,
    needed: Math.ceil(bytes / MIB),
    free: Math.floor(free / MIB),
    reserve: Math.ceil(reserve / MIB),
  })
}
