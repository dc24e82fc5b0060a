/** What a node calls other nodes with, for tests of one part. */
import { PeerCalls } from '../../src/cluster/peerCalls.ts'
import { PeerDialer } from '../../src/cluster/peerDialer.ts'
import { requestOver } from '../../src/cluster/peerRequest.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import type { KnownKeys } from '../../src/security/senderKeys.ts'

/** No key of another node is known. */
export const NO_KEYS: KnownKeys = {
  nodeOf: () => undefined,
  isRemoved: () => false,
  isRemovedNode: () => false,
  introduce: () => false,
}

/** In plain text. `onUnproven`: who answered proved nothing. */
export function dialerWith(
  secrets: ClusterSecrets,
  onUnproven: (address: string, why: string) => void = () => {},
): PeerDialer {
  const transport = secrets.isOpen ? 'open' : 'plain'
  return new PeerDialer({ transport, secrets, keys: undefined, known: NO_KEYS, onUnproven })
}

/** Calls of the node `node`. `secrets`: none for an open cluster. */
export function callsOf(node: string, ...secrets: readonly string[]): PeerCalls {
  const known = new ClusterSecrets(secrets)
  const dialer = dialerWith(known)
  return new PeerCalls({
    secrets: known,
    dialer,
    request: requestOver(dialer),
    node: () => node,
    epoch: () => 1,
    nowMs: () => Date.now(),
  })
}
