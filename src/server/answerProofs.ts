/**
 * Proof to the asker that an answer comes from a node of the cluster, for every answer to a request
 * with a challenge; and the path that is asked for nothing else.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { NodeRecord } from '../cluster/nodeRecord.ts'
import { headerOf } from '../proxy/headers.ts'
import type { ClusterSecrets, DerivedKey } from '../security/clusterSecrets.ts'
import { connectionKeys } from '../security/connectionKeys.ts'
import {
  CHALLENGE_HEADER,
  type Challenge,
  ENDED_HEADER,
  PROOF_HEADER,
  PROOF_PATH,
  parseChallenge,
  proveAnswer,
  sayEnded,
} from '../security/proof.ts'
import type { TokenCheck } from '../security/tokenCheck.ts'
import type { HealthParts } from './healthRoutes.ts'

export interface ProofParts {
  readonly secrets: ClusterSecrets
  readonly tokens: { readonly check: Pick<TokenCheck, 'proofKey'> }
  /** Its random id is in proofs. */
  readonly instance: HealthParts['instance']
  /** HOST:PORT under which other nodes reach this one. */
  readonly advertised: string
  /** A node asked whose secret has ended. */
  onEndedSecret(): void
  /** What the role file says. */
  record(): NodeRecord
  nowMs(): number
}

export class AnswerProofs {
  readonly #parts: ProofParts

  constructor(parts: ProofParts) {
    this.#parts = parts
  }

  /** Adds the proof to an answer whose request carries a challenge. */
  prove(request: FastifyRequest, reply: FastifyReply, payload: unknown): void {
    const { secrets, instance, advertised, record } = this.#parts
    const asked = parseChallenge(headerOf(request.raw, CHALLENGE_HEADER))
    if (secrets.isOpen || !asked) return
    const body = payload === undefined || payload === null ? '' : payload
    if (typeof body !== 'string' && !(body instanceof Uint8Array)) return
    const prover = { node: record().node, instance: instance.id, address: advertised }
    const fingerprint = connectionKeys(request.raw.socket)?.own ?? ''
    this.#tellEnded(asked, fingerprint, reply)
    const proof = proveAnswer(keyFor(asked, this.#parts), prover, {
      challenge: asked.challenge,
      method: request.method,
      path: request.url,
      status: reply.statusCode,
      body,
      fingerprint,
    })
    void reply.header(PROOF_HEADER, proof)
  }

  #tellEnded({ challenge, keyIds }: Challenge, fingerprint: string, reply: FastifyReply): void {
    const told = sayEnded(this.#parts.secrets, keyIds, { challenge, fingerprint })
    if (told === undefined) return
    this.#parts.onEndedSecret()
    void reply.header(ENDED_HEADER, told)
  }
}

/** A key that the asker knows too; that which signs here when there is none. */
function keyFor({ keyIds }: Challenge, { secrets, tokens }: ProofParts): DerivedKey {
  for (const id of keyIds) {
    const key = secrets.key(id, 'proof') ?? tokens.check.proofKey(id)
    if (key) return { id, key }
  }
  return secrets.signingKey('proof')
}

/** Tells no more than the asker needs to sign a request for this node. */
export function addProofRoute(app: FastifyInstance, { record, nowMs }: ProofParts): void {
  app.get(PROOF_PATH, async () => {
    const { node, cluster } = record()
    return { node, cluster, timeMs: nowMs() }
  })
}
