/** Bodies of requests on their way, with the memory that all of them share. */
import type { Client } from './client.ts'
import { BodyBudget, ReplayableBody } from './replayableBody.ts'

export class Bodies {
  readonly #maxBytes: number
  readonly #budget: BodyBudget

  /** `maxBytes` of one body are kept to be sent again, `limitBytes` of all together. */
  constructor(maxBytes: number, limitBytes: number) {
    this.#maxBytes = maxBytes
    this.#budget = new BodyBudget(limitBytes)
  }

  get keptBytes(): number {
    return this.#budget.usedBytes
  }

  /** Undefined when the request has none. What is kept is released when the client's answer is over. */
  of(client: Client, onChunk?: (chunk: Buffer) => void): ReplayableBody | undefined {
    if (!client.hasBody) return undefined
    const body = new ReplayableBody(client.request, this.#maxBytes, this.#budget, onChunk)
    client.response.once('close', () => body.release())
    return body
  }
}
