/** The keys at both ends of a TLS connection that came to this node. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { fingerprintOf } from './nodeKeys.ts'

export interface ConnectionKeys {
  /** Fingerprint of this node's key, 64 hex digits. */
  readonly own: string
  /** That of the client's key; undefined when the client has none. */
  readonly client: string | undefined
  /** Whether the operator's authority vouches for the client's certificate. */
  readonly isVerified: boolean
}

/** A connection keeps its keys, and carries many requests. */
const known = new WeakMap<Socket, ConnectionKeys>()

/** Undefined in plain text. */
export function connectionKeys(socket: Socket): ConnectionKeys | undefined {
  const read = known.get(socket)
  if (read || !('encrypted' in socket)) return read
  const keys = keysOn(socket as TLSSocket)
  known.set(socket, keys)
  return keys
}

/** Fingerprint of the key at the other end; undefined without a certificate. */
export function peerFingerprint(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate()
  return certificate && fingerprintOf(certificate.publicKey)
}

function keysOn(socket: TLSSocket): ConnectionKeys {
  const own = socket.getX509Certificate()
  return {
    own: own ? fingerprintOf(own.publicKey) : '',
    client: peerFingerprint(socket),
    isVerified: socket.authorized,
  }
}
