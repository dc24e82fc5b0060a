/** How the private side answers errors. */
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { asWalcastError, messageOf, WalcastError } from '../errors.ts'
import { errorBody, retryAfterOf } from '../proxy/answer.ts'

export function answerErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((error: unknown, _request, reply) => {
    const known = requestError(error)
    if (known.key === 'INTERNAL') log.error({ error: messageOf(error) }, 'a request failed')
    if (known.key === 'TOO_MANY_ATTEMPTS') void reply.headers(retryAfterOf(known))
    return reply.code(known.status).send(errorBody(known))
  })
}

/** A request that Fastify itself refuses (a body too large, broken JSON) is the client's fault. */
function requestError(error: unknown): WalcastError {
  const status = Number(Object(error).statusCode)
  if (!(error instanceof WalcastError) && status >= 400 && status < 500)
    return new WalcastError('BAD_REQUEST', { detail: messageOf(error) }, error)
  return asWalcastError(error)
}
