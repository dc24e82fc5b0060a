/**
 * The private side of a simulated node without its HTTP server: the real routes of roles and
 * health, each with the little of Fastify that it uses.
 */
import type { FastifyInstance } from 'fastify'
import type { RoleActions } from '../../src/api/roleActions.ts'
import { asWalcastError } from '../../src/errors.ts'
import { errorBody } from '../../src/proxy/answer.ts'
import { addHealthRoutes, type HealthParts } from '../../src/server/healthRoutes.ts'
import { addRoleRoutes } from '../../src/server/roleRoutes.ts'
import type { Answered } from './nodeRequests.ts'

interface Request {
  readonly raw: { readonly headers: Readonly<Record<string, string>> }
  readonly query: Readonly<Record<string, string>>
  readonly body: undefined
  /** Of who asks. */
  readonly ip: string
}

class Reply {
  status = 200

  code(status: number): this {
    this.status = status
    return this
  }

  type(): this {
    return this
  }

  send(body: unknown): unknown {
    return body
  }
}

type Handler = (request: Request, reply: Reply) => Promise<unknown>

export class PrivateSide {
  readonly #handlers = new Map<string, Handler>()
  readonly #onFailure: (error: unknown) => void
  /** The node is about to stop. */
  isStopping = false

  /**
   * `roles` gives undefined until the node has come up. `onFailure` hears of errors that are in no
   * catalogue.
   */
  constructor(
    health: HealthParts,
    roles: () => RoleActions | undefined,
    onFailure: (error: unknown) => void,
  ) {
    this.#onFailure = onFailure
    const add = (method: string) => (path: string, handler: Handler) => {
      this.#handlers.set(`${method} ${path}`, handler)
    }
    const app = { get: add('GET'), post: add('POST'), delete: add('DELETE') }
    // The routes use no more of it.
    const instance = app as unknown as FastifyInstance
    addHealthRoutes(instance, health, () => this.isStopping)
    addRoleRoutes(instance, roles, ({ ip }) => ({ text: ip, asker: ip, passesOn: true }))
  }

  /** Never rejects. */
  async answer(asker: string, method: string, url: URL): Promise<Answered> {
    const reply = new Reply()
    try {
      const handler = this.#handlers.get(`${method} ${url.pathname}`)
      if (!handler) throw new Error(`a node has no ${method} ${url.pathname}`)
      const query = Object.fromEntries(url.searchParams)
      const request = { raw: { headers: {} }, query, body: undefined, ip: asker }
      const body = await handler(request, reply)
      return { status: reply.status, text: JSON.stringify(body) }
    } catch (error) {
      const known = asWalcastError(error)
      if (known.key === 'INTERNAL') this.#onFailure(error)
      return { status: known.status, text: JSON.stringify(errorBody(known)) }
    }
  }
}
