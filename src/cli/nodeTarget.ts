/** A node to be asked: by an address, or by the control socket of a node on this machine. */
import { CONTROL_SOCKET, nodeFolderOf } from '../api/controlSocket.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'

export type NodeTarget =
  /**
   * URL or HOST:PORT of its private side. `folder`: of the node on this machine that named it.
   * Who may read that folder is a member's operator, and needs no secret of the environment.
   */
  | { readonly kind: 'address'; readonly address: string; readonly folder?: string | undefined }
  /** `folder`: its node folder. */
  | { readonly kind: 'socket'; readonly db: string; readonly folder: string }

/** `namedBy`: the node that was asked for the address. */
export function addressTarget(address: string, namedBy?: NodeTarget): NodeTarget {
  return { kind: 'address', address, folder: namedBy?.folder }
}

/**
 * The node in charge of a database file of this machine. `path` may be relative, or a link. Throws
 * DB_UNREADABLE.
 */
export function databaseTarget(path: string): NodeTarget {
  const db = resolveDatabase(path)
  return { kind: 'socket', db, folder: nodeFolderOf(db) }
}

/** How messages name it. */
export function targetText(target: NodeTarget): string {
  return target.kind === 'socket' ? `${target.folder}/${CONTROL_SOCKET}` : target.address
}
