/**
 * Where a node answers the user that runs it, on its own machine: a Unix socket in its folder. What
 * it serves there are the paths of the private side.
 */

/** Name of the socket in the folder of a node. */
export const CONTROL_SOCKET = 'control.sock'
/** What follows the path of the database in the path of the folder. */
const FOLDER_SUFFIX = '-walcast'
/** What follows the path of the database in the path of the socket. */
const SOCKET_SUFFIX = `${FOLDER_SUFFIX}/${CONTROL_SOCKET}`

/** The folder of the node that is in charge of the database at `db`, a path without links. */
export function nodeFolderOf(db: string): string {
  return `${db}${FOLDER_SUFFIX}`
}

/** The database whose node has a socket at `path`; undefined for any other socket. */
export function databaseOfSocket(path: string): string | undefined {
  const db = path.slice(0, -SOCKET_SUFFIX.length)
  return path.startsWith('/') && path === `${db}${SOCKET_SUFFIX}` ? db : undefined
}
