/** Whether this node talks to nodes of the version before keys (--old-signatures). */
import type { Logger } from 'pino'
import { OldNodes } from '../cluster/oldNodes.ts'
import { WalcastError } from '../errors.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import type { ClusterSecrets } from '../security/clusterSecrets.ts'
import type { NodeTls } from './nodeTls.ts'

/** Undefined without the option. Throws USAGE where it means nothing. */
export function oldNodesOf(
  { oldSignatures }: Pick<NodeOptions, 'oldSignatures'>,
  log: Logger,
  secrets: ClusterSecrets,
  tls: Pick<NodeTls, 'transport'> | undefined,
): OldNodes | undefined {
  if (!oldSignatures) return undefined
  if (tls === undefined)
    throw new WalcastError('USAGE', {
      detail: '--old-signatures wants a cluster secret: set WALCAST_SECRET or WALCAST_SECRET_FILE',
    })
  if (tls.transport === 'tls')
    throw new WalcastError('USAGE', {
      detail:
        '--old-signatures wants plain text, which is all that the older version speaks: leave ' +
        'out --tls and --tls-cert, and beyond this machine add --plaintext',
    })
  log.warn(
    '--old-signatures: who answers like a node of the version before keys is believed without a ' +
      'proof; start this node again without it as soon as all nodes are of this version',
  )
  return new OldNodes(() => secrets.current ?? '')
}
