/**
 * Makes the node of a folder a member of a cluster, with a pairing code. It writes the trust record
 * first and the role file last, each whole. Ended at any step, the same command goes on: the key of
 * this node is kept, and the code is good for it again. Only a key that the cluster has removed is
 * replaced.
 */

import { nodeFolderOf } from '../api/controlSocket.ts'
import { callToJoin, type Joined } from '../cluster/joinCall.ts'
import { NodeFile } from '../cluster/nodeFile.ts'
import { newId } from '../cluster/nodeRecord.ts'
import { withCluster } from '../cluster/trustChanges.ts'
import { TrustFile } from '../cluster/trustFile.ts'
import { mergeTrust } from '../cluster/trustMerge.ts'
import type { NodeSetup } from '../database/engine.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { isLoopback } from '../hostPort.ts'
import { addressOf, ownAddress } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { systemFileOps } from '../platform/fileOps.ts'
import { secretId } from '../security/clusterSecrets.ts'
import { keysFolder } from '../security/nodeKeys.ts'
import type { PairingCode } from '../security/pairingCode.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { SqliteThread } from '../sqlite/sqliteThread.ts'
import { finishBeforeJoin, unmarkLeft } from './departure.ts'
import { LOCK_CONNECTION, NodeFolder } from './nodeFolder.ts'
import { ownKeys } from './nodeTls.ts'
import { requireSoundOptions } from './soundOptions.ts'

export interface JoinedNode {
  readonly node: string
  readonly cluster: string
  /** HOST:PORT that it follows. */
  readonly leader: string
}

/**
 * Leaves nothing running. Throws what can be told before a connection (USAGE, JOIN_SELF,
 * JOIN_LEADS, NOT_A_COPY, ALREADY_RUNNING), what `callToJoin` throws, JOIN_OTHER_SECRET, DISK_FULL
 * or WRITE_FAILED.
 */
export async function joinCluster(given: NodeSetup, code: PairingCode): Promise<JoinedNode> {
  const { options } = given
  requireReachable(options, code)
  const path = resolveDatabase(options.db)
  requireNoLeader(path)
  const setup = { ...given, options: { ...options, leader: options.leader ?? code.address } }
  const folder = new NodeFolder(path, setup, 'node')
  const thread = new SqliteThread()
  try {
    await folder.enter(thread)
    requireNoLeader(path)
    return await join(folder, given, code)
  } finally {
    await thread.stop([LOCK_CONNECTION])
  }
}

async function join(folder: NodeFolder, given: NodeSetup, code: PairingCode): Promise<JoinedNode> {
  const { options, log, secret, ops = systemFileOps } = given
  // A node that has left joins with a key of its own again: the one before was removed.
  await finishBeforeJoin(folder.path, ops)
  const known = NodeFile.peek(folder.path)
  const node = options.name ?? known?.node ?? newId('node')
  const joining = {
    node,
    address: ownAddress(options),
    cluster: TrustFile.peek(folder.path)?.cluster || (known?.cluster ?? ''),
  }
  const ask = async () => callToJoin(code, joining, await ownKeys(options, folder.path, ops))
  const joined = await ask().catch((error) => {
    if (keyOf(error) !== 'KEY_REMOVED' || options.tlsCert !== undefined) throw error
    // The node of the code says so, and who made the code wants this node back.
    log.info({ node }, 'this node was removed from the cluster before: it joins with a new key')
    ops.erase('left.erase', keysFolder(folder.path))
    return ask()
  })
  const trust = TrustFile.open(folder.path, ops, log)
  requireSameSecret(secret, joined)
  unmarkLeft(folder.path, ops)
  const { cluster } = joined
  await trust.change((record) => mergeTrust(withCluster(record, cluster), joined.trust))
  const leader = options.leader ?? joined.leader
  const file = await folder.openFile(ops, { node })
  await file.update({ cluster, leader, givenLeader: leader }).finally(() => file.stop())
  return { node, cluster, leader }
}

/** Throws USAGE or JOIN_SELF. */
function requireReachable(options: NodeOptions, { address }: PairingCode): void {
  const own = ownAddress(options)
  if (address === own || address === options.listen) throw new WalcastError('JOIN_SELF')
  requireSoundOptions(options, 'node')
  if (isLoopback(addressOf(own).host) && !isLoopback(addressOf(address).host))
    throw new WalcastError('USAGE', {
      detail:
        `the node at ${address} cannot reach this one at ${own}: give --listen HOST:PORT, an ` +
        'address of this host, or --advertise HOST:PORT',
    })
}

/** Throws JOIN_LEADS. */
function requireNoLeader(path: string): void {
  if (NodeFile.peek(nodeFolderOf(path))?.role === 'leader')
    throw new WalcastError('JOIN_LEADS', { path })
}

/** A secret in the environment would sign, and no other node would know it. */
function requireSameSecret(secret: string | undefined, { trust }: Joined): void {
  if (secret === undefined || trust.secrets.some(({ id }) => id === secretId(secret))) return
  throw new WalcastError('JOIN_OTHER_SECRET')
}
