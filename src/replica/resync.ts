/** Brings the copy to the leader's state by comparing pages: what differs arrives and becomes visible as one commit. */
import type { Logger } from 'pino'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import { Comparison } from './comparison.ts'
import type { CopySlot } from './copySlot.ts'
import type { Subscription } from './subscription.ts'

export interface ResyncProgress {
  /** Pages still to come, as far as the leader has told. */
  readonly remaining: number
  readonly total: number
}

export class Resync {
  readonly #db: string
  readonly #slot: CopySlot
  readonly #subscription: Subscription
  readonly #log: Logger
  #comparison: Comparison | undefined
  #progress: ResyncProgress = { remaining: 0, total: 0 }

  constructor(db: string, slot: CopySlot, subscription: Subscription, log: Logger) {
    this.#db = db
    this.#slot = slot
    this.#subscription = subscription
    this.#log = log
  }

  get progress(): ResyncProgress {
    return this.#progress
  }

  /** Tells the leader what is here. `isDoubtful`: what is in memory about the copy is not to be believed, it is read again. */
  async begin(
    reason: string,
    leader: { readonly pages: number; readonly pageSize: number },
    isDoubtful: boolean,
  ) {
    const { pages, pageSize } = leader
    this.#progress = { remaining: pages, total: pages }
    this.#log.info({ reason, pages }, 'comparing pages with the leader')
    if (isDoubtful) await this.#slot.copy?.reread()
    const sums = await this.#slot.prepare(pageSize)
    this.#comparison = new Comparison(this.#db, sums, this.#subscription)
    await this.#comparison.sendGroups()
  }

  onDiffer(differ: Body<'differ'>, groups: Buffer): Promise<void> {
    if (!this.#comparison) throw new WalcastError('MESSAGE_BAD', { detail: 'differ came before groups' })
    return this.#comparison.onDiffer(groups, differ.last)
  }

  onPages(pages: Body<'pages'>, payload: Buffer): void | Promise<void> {
    this.#progress = { remaining: pages.remaining, total: Math.max(pages.dbPages, this.#progress.total) }
    return this.#slot.addPages(pages, payload)
  }

  /** The copy is the leader's state at `synced` when it resolves. Throws STATE_MISMATCH. */
  async onSynced(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    await this.#slot.finish(synced, payload)
    const { epoch, txid, dbPages: pages } = synced
    this.#log.info({ epoch, txid, pages }, 'the copy is whole and verified')
  }
}
