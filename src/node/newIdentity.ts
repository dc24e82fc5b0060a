/**
 * Gives the node of a copied folder an id of its own. From then on it is a different node of the
 * same cluster, and it follows.
 */
import { NodeFile } from '../cluster/nodeFile.ts'
import { type NodeRecord, newId } from '../cluster/nodeRecord.ts'
import { forgetPeers } from '../cluster/peersFile.ts'
import { WalcastError } from '../errors.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { wallMs } from '../platform/time.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { SqliteThread } from '../sqlite/sqliteThread.ts'
import { LOCK_CONNECTION, takeNodeLock } from './nodeFolder.ts'

export interface NewIdentity {
  /** Path of the database file. */
  readonly db: string
  /** The id before. */
  readonly was: string
  readonly node: string
  readonly role: NodeRecord['role']
}

/** The leaderships in the copied file are those of another node. */
const NEVER_LED: Partial<NodeRecord> = {
  incarnation: '',
  promoted: undefined,
  demoted: undefined,
  putBack: undefined,
}

/**
 * Works only while no node is in charge of the database. When the node first follows a leader, it
 * keeps aside what its copy has beyond that leader. `name`: the new id; undefined: a random one.
 * Throws USAGE when it is the id already, NO_IDENTITY, ALREADY_RUNNING, NODE_FILE_BROKEN, DISK_FULL
 * or WRITE_FAILED.
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
    const began = new Date(wallMs()).toISOString()
    await file.update({ ...NEVER_LED, began, node, role, leader: '', givenLeader: '' })
    await file.stop()
    forgetPeers(folder)
    return { db: path, was, node, role }
  } finally {
    await thread.stop([LOCK_CONNECTION])
  }
}
