/**
 * How a host proves that it has a pairing code, without sending the code's secret, and how the
 * answer is sealed. Both keys are derived from that secret (HKDF, RFC 5869). The proof names the
 * TLS keys at both ends: passed on over another connection, it is wrong there.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** What a host that joins says of itself, and what its proof covers. */
export interface JoinClaim {
  /** Id of the code, 8 hex digits. */
  readonly code: string
  /** Id of the node that joins. */
  readonly node: string
  /** HOST:PORT at which other nodes reach it. */
  readonly address: string
  /** The cluster that its folder belongs to; '' when it knows none. */
  readonly cluster: string
  /** Its clock, whole ms since 1970. */
  readonly timeMs: number
  /** 32 random hex digits. */
  readonly nonce: string
}

/** The TLS keys at both ends of the connection, 64 hex digits each. */
export interface JoinKeys {
  /** Of the node that made the code. */
  readonly server: string
  /** Of the node that joins. */
  readonly client: string
}

const KEY_BYTES = 32
const SALT = 'walcast'
const PROOF = /^[0-9a-f]{64}$/

/** HMAC-SHA256, 64 hex digits. `secret`: that of the code. */
export function joinProof(secret: Uint8Array, claim: JoinClaim, keys: JoinKeys): string {
  const { code, node, address, cluster, timeMs, nonce } = claim
  // No field has a line end in it.
  const lines = [keys.server, keys.client, code, node, address, cluster, timeMs, nonce]
  return createHmac('sha256', derive(secret, 'proof'))
    .update(['walcast pairing v1', ...lines].join('\n'))
    .digest('hex')
}

/** In constant time. */
export function isJoinProof(proof: string, expected: string): boolean {
  return PROOF.test(proof) && timingSafeEqual(Buffer.from(proof), Buffer.from(expected))
}

/** The key that seals the answer to a right proof. */
export function joinAnswerKey(secret: Uint8Array): Buffer {
  return derive(secret, 'answer')
}

/** Binds the answer to its question (`sealedText.ts`). */
export function joinAnswerContext(proof: string): string {
  return `walcast pairing answer ${proof}`
}

function derive(secret: Uint8Array, purpose: 'proof' | 'answer'): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, SALT, `walcast pairing v1 ${purpose}`, KEY_BYTES))
}
