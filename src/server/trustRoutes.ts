/** `POST /_walcast/trust`: two members exchange what they know of keys, tokens and settings. */
import type { FastifyInstance } from 'fastify'
import { TRUST_PATH } from '../api/trust.ts'
import { MAX_SEALED_BYTES, type SealedTrust } from '../cluster/trustCalls.ts'
import { WalcastError } from '../errors.ts'
import { headerOf } from '../proxy/headers.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'

export interface TrustDesk {
  /** The answer to a sealed record of the node `from`. Throws TRUST_REFUSED or KEY_REMOVED. */
  answer(from: string, body: unknown): Promise<SealedTrust>
}

export function addTrustRoutes(app: FastifyInstance, trust: TrustDesk): void {
  app.post(TRUST_PATH, { bodyLimit: MAX_SEALED_BYTES }, async (request) => {
    // A web page can send a POST to this machine, though it cannot read the answer.
    if (headerOf(request.raw, 'origin') !== undefined) throw new WalcastError('FOREIGN_PAGE')
    const from = senderOf(headerOf(request.raw, REPLICA_AUTH_HEADER))?.node ?? ''
    return trust.answer(from, request.body)
  })
}
