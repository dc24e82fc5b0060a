/**
 * Brings the copy to the leader's state by comparing pages. The pages that differ arrive and become
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
  /** Pages still to come, by what the leader has told so far. */
  readonly remaining: number
  readonly total: number
  /** Bytes of each. */
  readonly pageSize: number
}

export interface ResyncCause {
  readonly reason: string
  readonly leader: { readonly node: string; readonly pages: number; readonly pageSize: number }
  /** The page checksums in memory may be wrong, so the copy is read again. */
  readonly isDoubtful: boolean
  /**
   * Why the copy may hold commits that the leader lacks; undefined when it holds none. Called at
   * the end, because the comparison may open the copy first.
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
  #progress: ResyncProgress = { remaining: 0, total: 0, pageSize: 0 }

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

  /** Sends the checksums of this copy to the leader. */
  async begin(cause: ResyncCause): Promise<void> {
    const { reason, leader, isDoubtful } = cause
    this.#cause = cause
    const { pages, pageSize } = leader
    this.#progress = { remaining: pages, total: pages, pageSize }
    this.#log.info({ reason, pages: leader.pages }, 'comparing pages with the leader')
    const known = this.#slot.copy
    if (isDoubtful) await known?.checkpoints.undisturbed(() => known.reread())
    const sums = await this.#slot.prepare(leader.pageSize)
    if (this.#slot.isReplacing)
      this.#log.warn(
        { pageSize: known?.pageSize, leaderPageSize: leader.pageSize },
        'the page size of the leader differs; fetching a new copy while this one stays readable',
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
      ...this.#progress,
      remaining: pages.remaining,
      total: Math.max(pages.dbPages, this.#progress.total),
    }
    return this.#slot.addPages(pages, payload)
  }

  /**
   * When it resolves, the copy is the leader's state at `synced`. Throws STATE_MISMATCH or
   * DIVERGED_UNKEPT.
   */
  async onSynced(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    const { copy } = this.#slot
    if (copy) await copy.checkpoints.undisturbed(() => this.#finish(copy, synced, payload))
    else await this.#slot.finish(synced, payload)
    const { epoch, txid, dbPages: pages } = synced
    this.#log.info({ epoch, txid, pages }, 'the copy is whole and verified')
  }

  /** Keeps what the leader may lack, then overwrites or replaces it. */
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
      // Pages of different sizes cannot be compared, so the whole copy is kept.
      if (this.#slot.isReplacing) await this.#divergence.keepWhole(copy, why)
      else await this.#divergence.keep(copy, { ...synced, payload }, why)
    }
    await this.#slot.finish(synced, payload)
  }
}
