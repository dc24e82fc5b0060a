/**
 * Gives the node of a copied folder an id of its own: from then on it is another node of the same
 * cluster, which follows.
 */
import { NodeFile, type NodeRecord, newId } from '../cluster/nodeFile.ts'
import { forgetPeers } from '../cluster/peersFile.ts'
import { WalcastError } from '../errors.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { SqliteThread } from '../sqlite/sqliteThread.ts'
import { LOCK_CONNECTION, takeNodeLock } from './nodeFolder.ts'

export interface NewIdentity {
  /** Path of the database file. */
  readonly db: string
  /** Id before. */
  readonly was: string
  readonly node: string
  readonly role: NodeRecord['role']
}

/** Of another node's time as a leader nothing is this one's. */
const NEVER_LED: Partial<NodeRecord> = {
  incarnation: '',
  promoted: undefined,
  demoted: undefined,
  putBack: undefined,
}

/**
 * Only while no node is in charge of the database. What the copy has beyond its leader is kept
 * aside when it first follows one. `name`: the new id; a random one when undefined. Throws USAGE
 * when it is the id already, NO_IDENTITY, ALREADY_RUNNING, NODE_FILE_BROKEN, DISK_FULL or
 * WRITE_FAILED.
 */
export async function giveNewIdentity(
  db: string,
  name: string | undefined,
  ops: FileOps = systemFileOps,
): Promise<NewIdentity> {
  const path = resolveDatabase(db)
  const folder = `${path}-walcast`
  const known = NodeFile.peek(folder)
  if (!known) throw new WalcastError('NO_IDENTITY', { path: folder })
  const thread = new SqliteThread()
  try {
    await takeNodeLock(thread, path, folder)
    const file = await NodeFile.open(folder, ops, known)
    const { node: was, standby } = file.record
    const node = name ?? newId('node')
    const role = standby ? 'standby' : 'replica'
    if (node === was) throw new WalcastError('USAGE', { detail: `its id is ${node} already` })
    await file.update({ ...NEVER_LED, node, role, leader: '', givenLeader: '' })
    await file.stop()
    forgetPeers(folder)
    return { db: path, was, node, role }
  } finally {
    await thread.stop([LOCK_CONNECTION])
  }
}
