/** How long a peer may take at the private side, and how much it may send. */
import type { ServerOptions } from 'node:http'

/** Longer than other nodes keep an idle connection: a request must not meet its close. */
const KEEP_ALIVE_MS = 120_000
/** How often Node looks for heads and requests that take too long. */
const LATE_LOOK_MS = 1000
/** Headers that nodes add for each other. */
const ADDED_HEADER_BYTES = 4096

export interface HttpLimits {
  readonly requestTimeoutMs: number
  readonly headTimeoutMs: number
  /** Largest head of a client's request at the public side. */
  readonly maxHeaderBytes: number
}

export function httpLimits(limits: HttpLimits): ServerOptions {
  const { requestTimeoutMs: requestTimeout, headTimeoutMs, maxHeaderBytes } = limits
  return {
    requestTimeout,
    headersTimeout: Math.min(headTimeoutMs, requestTimeout),
    connectionsCheckingInterval: LATE_LOOK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: forwardedHeaderBytes(maxHeaderBytes),
  }
}

/**
 * A head that another node's public side took fits in here with all that was added. The client's
 * Host is in it three times.
 */
function forwardedHeaderBytes(publicBytes: number): number {
  return 4 * publicBytes + ADDED_HEADER_BYTES
}
