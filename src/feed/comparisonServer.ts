/**
 * The feeding side of a comparison: takes the replica's checksums and asks for those of the groups
 * that differ.
 */
import { encode } from '../../proto/codec.ts'
import { MAX_SUMS } from '../../proto/limits.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { PageServer } from './pageServer.ts'

export class ComparisonServer {
  readonly server: PageServer
  readonly #db: string
  readonly #write: (message: Buffer) => void
  /** The checksums of pages were asked for. */
  #isAsked = false

  constructor(db: string, server: PageServer, write: (message: Buffer) => void) {
    this.#db = db
    this.server = server
    this.#write = write
  }

  /** True when pages can be sent now. Throws MESSAGE_BAD. */
  takeGroups(groups: Body<'groups'>, sums: Buffer): boolean {
    if (this.#isAsked)
      throw new WalcastError('MESSAGE_BAD', { detail: 'groups were not asked for' })
    this.server.skipEqualGroups(groups.firstGroup, sums)
    if (!groups.last) return false
    this.#isAsked = true
    const { differing } = this.server
    for (const message of differMessages(this.#db, differing)) this.#write(message)
    return differing.length === 0
  }

  /** The same. */
  takeHave(have: Body<'have'>, sums: Buffer): boolean {
    if (!this.#isAsked) throw new WalcastError('MESSAGE_BAD', { detail: 'have was not asked for' })
    this.server.skipEqual(have.firstPage, sums)
    return have.last
  }
}

/** Asks for the checksums of the pages of these groups; of none, too, so that the replica knows. */
function* differMessages(db: string, differing: readonly number[]): Generator<Buffer> {
  for (let at = 0; at === 0 || at < differing.length; at += MAX_SUMS) {
    const part = Uint32Array.from(differing.slice(at, at + MAX_SUMS))
    const body = { db, groups: part.length, last: at + MAX_SUMS >= differing.length }
    yield encode('differ', body, part.byteLength, (payload) =>
      payload.set(new Uint8Array(part.buffer)),
    )
  }
}
