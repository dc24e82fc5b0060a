/** The trust record of a node that knows its cluster: only then it may be changed. */
import type { TrustFile } from '../cluster/trustFile.ts'
import { WalcastError } from '../errors.ts'
import type { ClusterSecrets } from '../security/clusterSecrets.ts'

export interface TrustInUse {
  readonly file: TrustFile
  /** '' before the cluster is known. */
  readonly digest: string
  readonly secrets: Pick<ClusterSecrets, 'isOpen'>
}

/** Throws OPEN_CLUSTER, or STARTING before the cluster is known. */
export function knownTrust({ file, digest, secrets }: TrustInUse): TrustFile {
  if (secrets.isOpen) throw new WalcastError('OPEN_CLUSTER')
  if (digest === '') throw new WalcastError('STARTING')
  return file
}
