/**
 * The nodes that run on this machine, found by their control sockets: the kernel lists all sockets
 * that listen (`/proc/net/unix`, proc_net(5) of Linux). A node in another network namespace, such
 * as a container, is not among them.
 */
import { CONTROL_SOCKET, databaseOfSocket, nodeFolderOf } from '../api/controlSocket.ts'
import { systemCode } from '../errors.ts'
import { processHolding } from '../node/portHolder.ts'
import { lstatSync, readFileSync, readlinkSync } from '../platform/files.ts'

export interface LocalNodes {
  /** Database files of the nodes that this user may ask. */
  readonly own: readonly string[]
  /** Those of other users. */
  readonly others: readonly string[]
}

/** A line: flags, type, state, inode and path of a socket. */
const LINE = /^[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]+) ([0-9A-F]+) \d+ +(\d+) (\/.*)$/
/** Of a socket that listens (include/linux/net.h). */
const ACCEPTS = 0x10000
/** How a node names a path that is too long (`socketPath.ts`): by a descriptor of its own. */
const BY_FOLDER = new RegExp(`^/proc/self/fd/(\\d+)/${CONTROL_SOCKET}$`)

/** Where the system has no such list, none is found. */
export function localNodes(list = '/proc/net/unix'): LocalNodes {
  const databases = [...new Set(linesOf(list).flatMap(databaseIn))].sort()
  const seen = databases.map((db) => ({ db, access: accessTo(db) }))
  const having = (wanted: Access) =>
    seen.flatMap(({ db, access }) => (access === wanted ? [db] : []))
  return { own: having('own'), others: having('other') }
}

function databaseIn(line: string): string[] {
  const [, flags, type, inode, path] = LINE.exec(line) ?? []
  if (path === undefined || (Number.parseInt(flags, 16) & ACCEPTS) === 0) return []
  if (Number.parseInt(type, 16) !== 1) return []
  const fd = BY_FOLDER.exec(path)?.[1]
  const db = databaseOfSocket(fd === undefined ? path : `${folderOf(inode, fd)}/${CONTROL_SOCKET}`)
  return db === undefined ? [] : [db]
}

type Access = 'own' | 'other' | 'none'

/** Whether the node of the database lets this user in; `none`: there is no such socket. */
function accessTo(db: string): Access {
  try {
    const found = lstatSync(`${nodeFolderOf(db)}/${CONTROL_SOCKET}`)
    const uid = process.geteuid?.()
    if (!found.isSocket()) return 'none'
    return uid === 0 || found.uid === uid ? 'own' : 'other'
  } catch (error) {
    return systemCode(error) === 'EACCES' ? 'other' : 'none'
  }
}

/** The folder that a process holds open as `fd`; '' when this user may not see it. */
function folderOf(inode: string, fd: string): string {
  const pid = processHolding(new Set([`socket:[${inode}]`]))
  try {
    return pid === undefined ? '' : readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch {
    return ''
  }
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch {
    return []
  }
}
