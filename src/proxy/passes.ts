/**
 * Marks on requests that a node passes to an application in its own process. The plugin there sees
 * two kinds of requests on one port: those of clients, and those that this node passes on, which
 * are admitted, remembered and acknowledged already. A header that a client can send tells them
 * apart in no way. A mark does: it is random and counts once, so that an application which shows a
 * client the headers of its request gives nothing away.
 */
import type { IncomingMessage } from 'node:http'
import { randomUuid } from '../platform/random.ts'
import { PASS_HEADER } from './headers.ts'

export class Passes {
  /** Issued and not yet taken: at most as many as requests are under way. */
  readonly #open = new Set<string>()
  #isUsed = false

  get size(): number {
    return this.#open.size
  }

  /** An application in this process looks at marks from now on; without one none is issued. */
  use(): void {
    this.#isUsed = true
  }

  issue(): string | undefined {
    if (!this.#isUsed) return undefined
    const mark = randomUuid()
    this.#open.add(mark)
    return mark
  }

  /** The request is over: its mark counts no more. */
  revoke(mark: string | undefined): void {
    if (mark !== undefined) this.#open.delete(mark)
  }

  /** Whether this node passed the request on. True once for each mark. */
  take({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
    const mark = headers[PASS_HEADER]
    return typeof mark === 'string' && this.#open.delete(mark)
  }
}
