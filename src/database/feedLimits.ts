import type { ReplicaFeedOptions } from '../feed/replicaFeed.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'

const HELLO_TIMEOUT_MS = 10_000

/** The bounds within which a leader or a relay feeds replicas. */
export function feedLimits(
  options: NodeOptions,
): Pick<ReplicaFeedOptions, 'session' | 'historyBytes' | 'maxReplicas' | 'heartbeatMs'> {
  const { maxBufferedBytes, stallMs, historyBytes, maxReplicas, heartbeatMs } = options
  return {
    session: { maxBufferedBytes, stallMs, helloTimeoutMs: HELLO_TIMEOUT_MS },
    historyBytes,
    maxReplicas,
    heartbeatMs,
  }
}
