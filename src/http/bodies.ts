/** Bodies of requests on their way, with the memory that all of them share. */
import type { Client } from '../proxy/client.ts'
import { BodyBudget, ReplayableBody } from '../proxy/replayableBody.ts'

export class Bodies {
  readonly #maxBytes: number
  readonly #budget: BodyBudget
  /** Of requests under way: one that was held for another leader may end here. */
  readonly #bodies = new WeakMap<Client, ReplayableBody>()

  /** `maxBytes` of one body are kept to be sent again, `limitBytes` of all together. */
  constructor(maxBytes: number, limitBytes: number) {
    this.#maxBytes = maxBytes
    this.#budget = new BodyBudget(limitBytes)
  }

  get keptBytes(): number {
    return this.#budget.usedBytes
  }

  /** Undefined when the request has none; the same for one client each time. What is kept is released when the client's answer is over. */
  of(client: Client): ReplayableBody | undefined {
    if (!client.hasBody) return undefined
    const known = this.#bodies.get(client)
    if (known) return known
    const body = new ReplayableBody(client.request, this.#maxBytes, this.#budget)
    this.#bodies.set(client, body)
    client.response.once('close', () => body.release())
    return body
  }
}
