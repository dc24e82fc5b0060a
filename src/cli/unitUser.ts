/**
 * The user of a unit that root writes: the owner of the database, since the application runs as
 * that user. Whatever a node makes beside the database then belongs to its own user.
 */
import { userInfo } from 'node:os'
import { dirname, resolve } from 'node:path'
import { existsSync, readFileSync, statSync } from '../platform/files.ts'

const GROUPS = '/etc/group'

export interface UnitUser {
  readonly uid: number
  readonly gid: number
  /** Undefined for a number without an account. */
  readonly name: string | undefined
  /** The database, or the folder for it, that belongs to this user. */
  readonly owns: string
}

/** Undefined when the unit runs as the present user: another one than root, or root owns it. */
export function unitUser(db: string): UnitUser | undefined {
  if (process.geteuid?.() !== 0) return undefined
  const owns = nearest(resolve(db))
  const { uid, gid } = statSync(owns)
  return uid === 0 ? undefined : { uid, owns, ...accountOf(uid, gid) }
}

export function userText({ name, uid }: UnitUser): string {
  return name ?? String(uid)
}

/**
 * Does the work with the rights of that user, and takes those of root back. Files that it makes
 * belong to the user, and no link that the user has laid leads it elsewhere.
 */
export async function asUser<T>(
  user: UnitUser | undefined,
  work: () => T | Promise<T>,
): Promise<T> {
  if (!user) return work()
  const [groups, group] = [process.getgroups?.() ?? [], process.getegid?.() ?? 0]
  process.setgroups?.([user.gid, ...otherGroups(user)])
  process.setegid?.(user.gid)
  process.seteuid?.(user.uid)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(group)
    process.setgroups?.(groups)
  }
}

/** The groups that name the user as a member (group(5)); none where there is no such file. */
function otherGroups({ name }: UnitUser): readonly number[] {
  const isThere = name !== undefined && existsSync(GROUPS)
  return !isThere
    ? []
    : readFileSync(GROUPS, 'utf8')
        .split('\n')
        .flatMap((line) => {
          const [, , gid, members = ''] = line.split(':')
          return members.split(',').includes(name) ? [Number(gid)] : []
        })
}

/** The path, or the nearest folder above it that is there. */
function nearest(path: string): string {
  const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined
  return isThere ? path : nearest(dirname(path))
}

/** The account of a user id. Node looks up only that of the effective user. */
function accountOf(uid: number, gid: number): Pick<UnitUser, 'gid' | 'name'> {
  process.seteuid?.(uid)
  try {
    const { username, gid: own } = userInfo()
    return { name: username, gid: own }
  } catch {
    return { name: undefined, gid }
  } finally {
    process.seteuid?.(0)
  }
}
