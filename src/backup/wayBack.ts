/**
 * The way back from a change of a whole database: the position before it is in the archive, and has
 * a name there, so that it stays restorable until the name is removed.
 */
import type { ArchivedPlace } from '../../proto/archiveNames.ts'
import { formatPosition, type Position } from '../../proto/position.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { inTime } from '../platform/inTime.ts'
import { delay, monotonicMs, wallMs } from '../platform/time.ts'
import { ArchiveRestore } from './archiveRestore.ts'
import type { ClusterArchive } from './restoreTarget.ts'
import { forgetPoint, namePoint } from './retention/namedPoints.ts'
import type { Store } from './stores/store.ts'

/** Between two looks at the archive: the second number is for one that is slow to follow. */
const LOOK_MS = [50, 500] as const
/** To take back a name, when writers wait no more. */
const FORGET_MS = 10_000
/** Of an incarnation: places hold archives of several clusters, which reach the same numbers. */
const TOLD_DIGITS = 8
/** What an archive answers while it lacks the position. */
const IS_LACKING: ReadonlySet<string | undefined> = new Set([
  ...['POSITION_NOT_ARCHIVED', 'ARCHIVE_GAP', 'ARCHIVE_MISSING', 'NO_ARCHIVE'],
  'CLUSTER_NOT_ARCHIVED',
])

export interface WayBackParts {
  readonly store: Store
  readonly cluster: string
  /** Lists the files of the cluster. */
  list(): Promise<ClusterArchive>
}

export class WayBack {
  readonly #parts: WayBackParts
  /** Whether the name is a new one, once that is known. */
  #naming: { readonly name: string; readonly isNew: Promise<boolean> } | undefined

  constructor(parts: WayBackParts) {
    this.#parts = parts
  }

  /**
   * The archive has `now` of the leader, or a later position of its epoch. Throws INTO_REFUSED
   * after `limitMs`, and what the store throws.
   */
  async requireFollowed(node: string, now: Position, limitMs: number): Promise<void> {
    let newest: Position | undefined
    const isThere = await this.#until(limitMs, async () => {
      newest = (await this.#plan({})).target
      return newest.epoch === now.epoch && newest.txid >= now.txid
    })
    if (isThere) return
    const has = newest ? `ends at ${formatPosition(newest)}` : 'has nothing of its cluster'
    const archive = `the archive in ${this.#parts.store.name} ${has}`
    throw intoRefused(
      node,
      `it is at ${formatPosition(now)}, and ${archive}: there is no way back`,
      'have a node of the cluster archive there (--backup), or give --without-point',
    )
  }

  /**
   * Names the position once a restore of it is planned without a gap, and gives the name. Throws
   * INTO_ABORTED after `limitMs`, however long the store takes, and what the store throws.
   */
  async keep(node: string, at: Position & ArchivedPlace, limitMs: number): Promise<string> {
    const { epoch, txid, incarnation } = at
    const untilMs = monotonicMs() + limitMs
    const looking = this.#until(limitMs, async () => {
      const { target } = await this.#plan({ epoch, txid })
      return target.incarnation === incarnation
    })
    const isThere = (await inTime(looking, untilMs))?.value
    const name = isThere && (await inTime(this.#name(at), untilMs))?.value
    if (!name)
      throw new WalcastError('INTO_ABORTED', {
        node,
        detail: `${this.#parts.store.name} did not get ${formatPosition(at)} in time (--hold)`,
      })
    return name
  }

  /**
   * The change was not made. A name that was there before stays. Never throws: a name too many does
   * no harm.
   */
  async forget(): Promise<void> {
    await inTime(this.#takeBack(), monotonicMs() + FORGET_MS).catch(() => {})
  }

  async #name(at: Position & ArchivedPlace): Promise<string> {
    const { incarnation, txid } = at
    const name = `before-restore-${formatPosition(at)}-${incarnation.slice(0, TOLD_DIGITS)}`
    const isNew = namePoint(this.#parts.store, { name, incarnation, txid, namedMs: wallMs() })
    this.#naming = { name, isNew }
    await isNew
    return name
  }

  async #takeBack(): Promise<void> {
    const naming = this.#naming
    if (naming && (await naming.isNew)) await forgetPoint(this.#parts.store, naming.name)
  }

  #plan(wanted: Partial<Position>) {
    const { cluster, list } = this.#parts
    const order = { wanted: { ...wanted, cluster }, isAsFarAsPossible: false, list }
    return new ArchiveRestore(order).plan()
  }

  async #until(limitMs: number, look: () => Promise<boolean>): Promise<boolean> {
    const beganMs = monotonicMs()
    for (;;) {
      try {
        if (await look()) return true
      } catch (error) {
        if (!IS_LACKING.has(keyOf(error))) throw error
      }
      const nowMs = monotonicMs()
      if (nowMs - beganMs >= limitMs) return false
      await delay(nowMs - beganMs < LOOK_MS[1] * 4 ? LOOK_MS[0] : LOOK_MS[1])
    }
  }
}

/** `cure`: what to do, in place of the text of the catalogue. */
export function intoRefused(node: string, detail: string, cure: string): WalcastError {
  const details = { node, detail, cure }
  return new WalcastError('INTO_REFUSED', details)
}
