/**
 * The feeding side of a comparison: takes the replica's checksums, asks for those of the groups
 * that differ, and sends the pages that do.
 */
import { encode } from '../../proto/codec.ts'
import { MAX_SUMS } from '../../proto/limits.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { PageServer } from './pageServer.ts'

export interface ComparisonServerHost {
  write(message: Buffer): void
  /** Pages are being sent from now on. */
  onSending(): void
  onFailed(error: unknown): void
}

export class ComparisonServer {
  readonly server: PageServer
  readonly #db: string
  readonly #host: ComparisonServerHost
  /** The checksums of pages were asked for. */
  #isAsked = false

  constructor(db: string, server: PageServer, host: ComparisonServerHost) {
    this.#db = db
    this.server = server
    this.#host = host
  }

  /** Takes the checksums of groups. Sends pages when all groups are equal. Throws MESSAGE_BAD. */
  takeGroups(groups: Body<'groups'>, sums: Buffer): void {
    if (this.#isAsked)
      throw new WalcastError('MESSAGE_BAD', { detail: 'groups were not asked for' })
    this.server.skipEqualGroups(groups.firstGroup, sums)
    if (!groups.last) return
    this.#isAsked = true
    const { differing } = this.server
    for (const message of differMessages(this.#db, differing)) this.#host.write(message)
    if (differing.length === 0) this.#send()
  }

  /** Takes the checksums of pages, and sends pages after the last of them. Throws MESSAGE_BAD. */
  takeHave(have: Body<'have'>, sums: Buffer): void {
    if (!this.#isAsked) throw new WalcastError('MESSAGE_BAD', { detail: 'have was not asked for' })
    this.server.skipEqual(have.firstPage, sums)
    if (have.last) this.#send()
  }

  #send(): void {
    this.#host.onSending()
    this.server.run().catch((error) => this.#host.onFailed(error))
  }
}

/**
 * Asks for the page checksums of these groups. An empty list is sent too, so that the replica
 * knows.
 */
function* differMessages(db: string, differing: readonly number[]): Generator<Buffer> {
  for (let at = 0; at === 0 || at < differing.length; at += MAX_SUMS) {
    const part = Uint32Array.from(differing.slice(at, at + MAX_SUMS))
    const body = { db, groups: part.length, last: at + MAX_SUMS >= differing.length }
    yield encode('differ', body, part.byteLength, (payload) =>
      payload.set(new Uint8Array(part.buffer)),
    )
  }
}
