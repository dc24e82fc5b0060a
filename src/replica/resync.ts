/**
 * Brings the copy to the leader's state by comparing pages: what differs arrives and becomes
 * visible as one commit.
 */
import type { Logger } from 'pino'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import { Comparison } from './comparison.ts'
import type { Copy } from './copy/copy.ts'
import type { CopySlot } from './copy/copySlot.ts'
import type { SuspectedDivergence } from './copy/copyTrust.ts'
import type { Divergence } from './diverged/divergence.ts'
import type { Subscription } from './subscription.ts'

export interface ResyncProgress {
  /** Pages still to come, as far as the leader has told. */
  readonly remaining: number
  readonly total: number
}

export interface ResyncCause {
  readonly reason: string
  readonly leader: { readonly node: string; readonly pages: number; readonly pageSize: number }
  /** What is in memory about the copy is not to be believed: it is read again. */
  readonly isDoubtful: boolean
  /**
   * Why the copy may hold commits that the leader lacks; undefined when it holds none. Asked at the
   * end: a copy may be opened meanwhile.
   */
  divergence(): SuspectedDivergence | undefined
}

export class Resync {
  readonly #db: string
  readonly #slot: CopySlot
  readonly #subscription: Subscription
  readonly #divergence: Divergence
  readonly #log: Logger
  #comparison: Comparison | undefined
  #cause: ResyncCause | undefined
  #progress: ResyncProgress = { remaining: 0, total: 0 }

  constructor(parts: {
    readonly db: string
    readonly slot: CopySlot
    readonly subscription: Subscription
    readonly divergence: Divergence
    readonly log: Logger
  }) {
    this.#db = parts.db
    this.#slot = parts.slot
    this.#subscription = parts.subscription
    this.#divergence = parts.divergence
    this.#log = parts.log
  }

  get progress(): ResyncProgress {
    return this.#progress
  }

  /** Tells the leader what is here. */
  async begin(cause: ResyncCause): Promise<void> {
    const { reason, leader, isDoubtful } = cause
    this.#cause = cause
    this.#progress = { remaining: leader.pages, total: leader.pages }
    this.#log.info({ reason, pages: leader.pages }, 'comparing pages with the leader')
    const known = this.#slot.copy
    if (isDoubtful) await known?.undisturbed(() => known.reread())
    const sums = await this.#slot.prepare(leader.pageSize)
    if (this.#slot.isReplacing)
      this.#log.warn(
        { pageSize: known?.pageSize, leaderPageSize: leader.pageSize },
        'the pages of the leader have another size: a new copy is fetched beside this one, which is served until then',
      )
    this.#comparison = new Comparison(this.#db, sums, this.#subscription)
    await this.#comparison.sendGroups()
  }

  onDiffer(differ: Body<'differ'>, groups: Buffer): Promise<void> {
    if (!this.#comparison)
      throw new WalcastError('MESSAGE_BAD', { detail: 'differ came before groups' })
    return this.#comparison.onDiffer(groups, differ.last)
  }

  onPages(pages: Body<'pages'>, payload: Buffer): void | Promise<void> {
    this.#progress = {
      remaining: pages.remaining,
      total: Math.max(pages.dbPages, this.#progress.total),
    }
    return this.#slot.addPages(pages, payload)
  }

  /**
   * The copy is the leader's state at `synced` when it resolves. Throws STATE_MISMATCH or
   * DIVERGED_UNKEPT.
   */
  async onSynced(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    const { copy } = this.#slot
    if (copy) await copy.undisturbed(() => this.#finish(copy, synced, payload))
    else await this.#slot.finish(synced, payload)
    const { epoch, txid, dbPages: pages } = synced
    this.#log.info({ epoch, txid, pages }, 'the copy is whole and verified')
  }

  /** What the leader may lack is kept aside before it is overwritten or replaced. */
  async #finish(copy: Copy, synced: Body<'synced'>, payload: Buffer): Promise<void> {
    const { leader, reason } = this.#cause ?? {}
    const divergence = this.#cause?.divergence()
    if (divergence && leader) {
      const { kind, isDamaged } = divergence
      const damage = isDamaged ? { isDamaged } : {}
      const why = {
        leader: leader.node,
        kind,
        reason: `${divergence.reason}; ${reason}`,
        ...damage,
      }
      // Between pages of different sizes nothing tells what differs.
      if (this.#slot.isReplacing) await this.#divergence.keepWhole(copy, why)
      else await this.#divergence.keep(copy, { ...synced, payload }, why)
    }
    await this.#slot.finish(synced, payload)
  }
}
