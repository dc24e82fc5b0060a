/** TLS before the HTTP server of the private side, in a cluster with a secret. */
import type { ConnectionLimits } from '../proxy/connectionBudget.ts'
import type { ServedKeys } from '../security/servedKeys.ts'
import type { HttpLimits } from './httpLimits.ts'
import { TlsFront, type TlsFrontOptions } from './tlsFront.ts'

export interface ListenerTls {
  readonly keys: ServedKeys
  readonly takesPlainText: boolean
}

export interface ListenerLimits extends Pick<HttpLimits, 'headTimeoutMs'> {
  readonly handshakeTimeoutMs: number
  readonly connections: Pick<ConnectionLimits, 'maxConnections'>
}

/** Handshakes at once, as a share of all connections. */
const HANDSHAKE_SHARE = 1 / 4

/** Undefined in an open cluster. */
export function newFront(
  tls: ListenerTls | undefined,
  { handshakeTimeoutMs, headTimeoutMs, connections }: ListenerLimits,
  onFailed: TlsFrontOptions['onFailed'],
): TlsFront | undefined {
  if (!tls) return undefined
  return new TlsFront({
    ...tls,
    handshakeTimeoutMs,
    headTimeoutMs,
    maxHandshakes: Math.ceil(connections.maxConnections * HANDSHAKE_SHARE),
    onFailed,
  })
}
