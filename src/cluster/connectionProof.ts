/** One exchange on a new connection, in which the other end proves to be a node of the cluster. */
import type { Socket } from 'node:net'
import { WalcastError } from '../errors.ts'
import { nowMs } from '../platform/time.ts'
import {
  CHALLENGE_HEADER,
  ENDED_HEADER,
  endedSecretIn,
  formatChallenge,
  newChallenge,
  nodeProvenBy,
  PROOF_HEADER,
  PROOF_PATH,
  type ProofKeys,
  type Prover,
} from '../security/proof.ts'
import { exchangeOver, type SocketAnswer } from './socketExchange.ts'

/** The answer is a node's id and that of its cluster. */
const MAX_ANSWER_BYTES = 4096

/** What answers there takes no plain text, or says so. */
export class TlsWanted extends Error {
  override readonly message = 'it takes only TLS'
}

/** The status of an answer that says so. */
export const TLS_WANTED_STATUS = 426

/** A node that has proven itself. */
export interface ProvenNode extends Prover {
  /** How far its clock is ahead of this node's, ms, give or take a round trip. */
  readonly aheadMs: number
}

/**
 * The node at the other end of `socket`, which is left open for what follows. Undefined when it
 * proves nothing, and `onUnproven` is told what it answered. `fingerprint`: that of its TLS key, ''
 * in plain text. Rejects with TlsWanted, with SECRET_ENDED when a member says so of this node's
 * secret, or when the connection breaks.
 */
export async function proveConnection(
  socket: Socket,
  keys: ProofKeys,
  address: string,
  fingerprint: string,
  onUnproven?: (answer: SocketAnswer) => void,
): Promise<ProvenNode | undefined> {
  const challenge = newChallenge()
  const asked = formatChallenge({ challenge, keyIds: keys.ids })
  const beganMs = nowMs()
  const answer = await exchangeOver(socket, {
    method: 'GET',
    path: PROOF_PATH,
    headers: { host: address, [CHALLENGE_HEADER]: asked },
    maxBytes: MAX_ANSWER_BYTES,
  })
  const { status, headers, body } = answer
  if (status === TLS_WANTED_STATUS && fingerprint === '') throw new TlsWanted()
  const metMs = (beganMs + nowMs()) / 2
  const prover = nodeProvenBy(keys, headers[PROOF_HEADER], {
    challenge,
    method: 'GET',
    path: PROOF_PATH,
    status,
    body,
    fingerprint,
  })
  if (!prover) {
    const id = endedSecretIn(keys, headers[ENDED_HEADER], { challenge, fingerprint })
    if (id !== undefined) throw new WalcastError('SECRET_ENDED', { id })
    onUnproven?.(answer)
    return undefined
  }
  const { timeMs } = Object(JSON.parse(body.toString('utf8')))
  return { ...prover, aheadMs: Number.isFinite(timeMs) ? timeMs - metMs : 0 }
}
