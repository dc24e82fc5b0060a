/**
 * Proof that a fake node knows the cluster secret, as proto/PROTOCOL.md describes it. It uses no
 * code of walcast.
 */
import { createHash, createHmac, hkdfSync } from 'node:crypto'

/** What the proofs of fake nodes say of their process. */
export const FAKE_PROVER = { instance: '0123456789abcdef', address: '10.0.0.9:8470' } as const

export interface FakeProofParts {
  readonly secret: string
  readonly node: string
  /** The value of `walcast-challenge`. */
  readonly challenge: string
  readonly method: string
  /** Path with query. */
  readonly path: string
  readonly status: number
  readonly body: string
}

/** The value of `walcast-proof`, in plain text. */
export function fakeProof(parts: FakeProofParts): string {
  const { secret, node, challenge, method, path, status, body } = parts
  const derived = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', secret, 'walcast', `walcast v2 ${purpose}`, 32))
  const digest = (content: string | Buffer) => createHash('sha256').update(content).digest('hex')
  const [random] = challenge.split(' ')
  const { instance, address: at } = FAKE_PROVER
  const claim = ['v1', random, method, path, status, digest(body), node, instance, at, '']
  const mac = createHmac('sha256', derived('proof')).update(claim.join('\n')).digest('hex')
  const key = digest(derived('id')).slice(0, 8)
  return `v1 key=${key} node=${node} instance=${instance} at=${at} mac=${mac}`
}
