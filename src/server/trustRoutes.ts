/** `POST /_walcast/trust`: two members exchange what they know of keys, tokens and settings. */
import type { FastifyInstance } from 'fastify'
import { TRUST_PATH } from '../api/trust.ts'
import { MAX_SEALED_BYTES, type SealedTrust } from '../cluster/trustCalls.ts'
import { headerOf } from '../proxy/headers.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'
import { requireNoForeignPage } from './requestFields.ts'

export interface TrustDesk {
  /** The answer to a sealed record of the node `from`. Throws TRUST_REFUSED or KEY_REMOVED. */
  answer(from: string, body: unknown): Promise<SealedTrust>
}

export function addTrustRoutes(app: FastifyInstance, trust: TrustDesk): void {
  app.post(TRUST_PATH, { bodyLimit: MAX_SEALED_BYTES }, async (request) => {
    requireNoForeignPage(request)
    const from = senderOf(headerOf(request.raw, REPLICA_AUTH_HEADER))?.node ?? ''
    return trust.answer(from, request.body)
  })
}
