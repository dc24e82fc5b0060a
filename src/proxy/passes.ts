/**
 * Marks on requests that a node passes to an application in its own process. The plugin there sees
 * two kinds of requests on one port: those of clients, and those that this node passes on. The
 * latter are already admitted, remembered and acknowledged. A header that a client can send cannot
 * tell them apart. A mark can: it is random and counts once, so an application that shows a client
 * its request headers gives nothing away.
 */
import type { IncomingMessage } from 'node:http'
import { randomUuid } from '../platform/random.ts'
import { PASS_HEADER } from './headers.ts'

export class Passes {
  /** Marks that were issued and not yet taken: at most one for each request under way. */
  readonly #open = new Set<string>()
  #isUsed = false

  get size(): number {
    return this.#open.size
  }

  /** An application in this process looks at marks from now on. Without one none is issued. */
  use(): void {
    this.#isUsed = true
  }

  issue(): string | undefined {
    if (!this.#isUsed) return undefined
    const mark = randomUuid()
    this.#open.add(mark)
    return mark
  }

  /** The request is over: its mark no longer counts. */
  revoke(mark: string | undefined): void {
    if (mark !== undefined) this.#open.delete(mark)
  }

  /** Whether this node passed the request on. True once for each mark. */
  take({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
    const mark = headers[PASS_HEADER]
    return typeof mark === 'string' && this.#open.delete(mark)
  }
}
