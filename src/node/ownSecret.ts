/**
 * The secret that a cluster makes for itself. A node that leads, that others can reach, and that
 * was given no secret makes one before anything listens. Other nodes get it by pairing.
 */
import type { NodeFile } from '../cluster/nodeFile.ts'
import { secretsInForce } from '../cluster/secretsInForce.ts'
import { withCluster, withSecret } from '../cluster/trustChanges.ts'
import type { TrustFile } from '../cluster/trustFile.ts'
import type { NodeSetup } from '../database/engine.ts'
import { isLoopback } from '../hostPort.ts'
import { addressOf } from '../options/address.ts'
import type { Clock } from '../platform/clock.ts'
import { newSecret } from '../security/clusterSecrets.ts'

/**
 * Makes nothing where the record has members: that cluster has a secret, which this node was not
 * given this time. Throws DISK_FULL or WRITE_FAILED.
 */
export async function makeOwnSecret(
  { options, secret, log }: NodeSetup,
  nodeFile: Pick<NodeFile, 'record'>,
  file: TrustFile,
  clock: Clock,
): Promise<void> {
  const { listen, tls, tlsCert } = options
  const { role, cluster, members } = nodeFile.record
  const isWanted = tls || tlsCert !== undefined || !isLoopback(addressOf(listen).host)
  const nowMs = Math.floor(clock.nowMs())
  const isGiven = secretsInForce(secret, file.record, nowMs).good.length > 0
  if (role !== 'leader' || !isWanted || isGiven || file.record.members.length > 0) return
  const made = newSecret()
  await file.change((record) =>
    withSecret(withCluster(record, cluster), { ...made, createdAt: nowMs }),
  )
  if (members.length > 0)
    log.warn(
      { path: file.path, nodes: members.map(({ node }) => node) },
      'made a secret that the other nodes do not know, and they follow no more: join each again ' +
        '(walcast pair); if FILE-walcast/keys was lost, stop this node and put it back from a copy',
    )
  log.info(
    { path: file.path },
    'made a secret for this cluster: nodes and commands have to prove it; walcast pair adds a node',
  )
}
