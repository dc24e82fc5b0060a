/**
 * `walcast restore --into NODE`: a restored state becomes the next state of the cluster, as one
 * transaction on the leader's database that replicas follow like any other. The state before it
 * stays in the archive under a name.
 *
 *   restored beside the database -> write lock held -> the archive has the state before, and names
 *   it -> transaction -> the leader tells its new position
 *
 * Whatever fails before the commit leaves the database as it was, and so does a kill.
 */
import type { ArchivedPlace } from '../../proto/archiveNames.ts'
import type { PlannedRestore } from '../backup/archiveRestore.ts'
import type { ClusterArchive } from '../backup/restoreTarget.ts'
import type { Store } from '../backup/stores/store.ts'
import { intoRefused, WayBack } from '../backup/wayBack.ts'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import { constants, openAside } from '../platform/files.ts'
import { freeBytes } from '../platform/freeBytes.ts'
import { inTime } from '../platform/inTime.ts'
import { monotonicMs } from '../platform/time.ts'
import { transferContent } from '../sqlite/contentTransfer.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import { type NodeHere, nodeHere } from './nodeHere.ts'
import { formatBytes } from './queryCommand.ts'
import { noteInAudit, settledNode } from './settledNode.ts'

const CONFIRM_MS = 30_000
const UNSETTLED = 'its node did not tell in time where it stands (--hold)'
const { O_RDONLY, O_NOFOLLOW } = constants

export interface IntoOrder {
  /** The node, as the command names it. */
  readonly name: string
  /** Its database file; undefined: found by the name of the node. */
  readonly db: string | undefined
  /** Also the archive of another cluster. */
  readonly isForced: boolean
  /** Whether the state before is to stay restorable. */
  readonly hasPoint: boolean
  /** How long it waits for the write lock, and then writers, until the transaction begins; ms. */
  readonly holdMs: number
  readonly store: Store
  list(cluster: string): Promise<ClusterArchive>
}

export interface Committed {
  readonly node: string
  /** Where the state before is; EPOCH-TXID. */
  readonly before: string
  /** Its name in the archive; undefined when it has none. */
  readonly point: string | undefined
  /** The position of the transaction. */
  readonly now: string
  readonly heldSeconds: number
}

export class IntoNode {
  readonly #order: IntoOrder
  readonly here: NodeHere
  readonly #way: WayBack | undefined

  private constructor(order: IntoOrder, here: NodeHere) {
    this.#order = order
    this.here = here
    const { store, hasPoint } = order
    const { cluster } = here.status
    const list = () => order.list(cluster)
    this.#way = hasPoint ? new WayBack({ store, cluster, list }) : undefined
  }

  /** Changes nothing. Throws INTO_REFUSED, and what naming and asking a node throws. */
  static async find(order: IntoOrder): Promise<IntoNode> {
    const here = await nodeHere(order.name, order.db)
    const { node, role, leader } = here.status
    if (role === 'leader') return new IntoNode(order, here)
    throw intoRefused(
      node,
      `it is a ${role}, and replicas only follow`,
      leader
        ? `give --into ${leader}, on the machine of that node`
        : 'no leader is known: see "walcast status"',
    )
  }

  /** Changes nothing. Throws INTO_REFUSED, and what the store throws. */
  async requireFit({ target, files }: PlannedRestore): Promise<void> {
    const { isForced, hasPoint, holdMs, list } = this.#order
    const { node, cluster, epoch, txid, pageSize: own } = this.here.status
    if (target.head.cluster !== cluster && !(isForced && !hasPoint))
      throw intoRefused(
        node,
        `it is of cluster ${cluster}, and the archive of ${target.head.cluster}`,
        'if that is what you want, give --force and --without-point',
      )
    const { archive } = await list(target.head.cluster)
    const pageSize = await archive.use(files[0].name, async ({ header }) => header.pageSize)
    if (pageSize !== own)
      throw intoRefused(
        node,
        `its pages have ${own} bytes, and those of the archive ${pageSize}`,
        'restore to a file, and start the node anew: see docs/operating/restoring.md',
      )
    await this.#way?.requireFollowed(node, { epoch, txid }, holdMs)
  }

  /** Whether the leader is in that state now. Throws what asking it throws. */
  async isAt({ incarnation, txid }: ArchivedPlace): Promise<boolean> {
    const now = await settledNode(this.here.target, this.#order.holdMs)
    return now.incarnation === incarnation && now.txid === txid
  }

  /** `bytes`: of the restored database. Throws INTO_REFUSED. */
  requireRoom(bytes: number): void {
    const { node, pageSize } = this.here.status
    // The node keeps the transaction for its archive and replicas beside the WAL.
    const needed = 2 * (bytes / pageSize) * frameBytes(pageSize)
    const free = freeBytes(this.here.db)
    if (free >= needed) return
    throw intoRefused(
      node,
      `the transaction needs ${formatBytes(needed)}, and ${formatBytes(free)} are free`,
      'free some space on the disk of its database',
    )
  }

  /**
   * Commits the content of `side`. `onHeld`: the write lock is held, and writers wait. Throws
   * INTO_ABORTED, and then nothing was changed; or INTO_UNCONFIRMED.
   */
  async commit(side: string, what: string, onHeld: () => void): Promise<Committed> {
    const { here } = this
    const held = await this.#transfer(side, what, onHeld)
    const { node, before, point } = held
    try {
      await syncLog(here.db)
      const now = await settledNode(here.target, CONFIRM_MS)
      if (now.txid <= before.txid) throw new Error(`it tells ${textOf(now)}`)
      // Other commits may have followed. A leader that lost its place has begun an epoch instead.
      const isNext = now.epoch === before.epoch
      const [was, is] = [textOf(before), textOf(isNext ? { ...now, txid: before.txid + 1 } : now)]
      const kept = point === undefined ? '' : ` (${point})`
      const detail = `${what}, as ${is}; the state before is ${was}${kept}`
      await noteInAudit(here.target, { action: 'restore', outcome: 'done', detail })
      return { node, before: was, point, now: is, heldSeconds: held.seconds }
    } catch (error) {
      const known = { db: here.db, before: textOf(before), detail: messageOf(error) }
      throw new WalcastError('INTO_UNCONFIRMED', known, error)
    }
  }

  async #transfer(side: string, what: string, onHeld: () => void) {
    const { holdMs } = this.#order
    const { target, db, status } = this.here
    const { node } = status
    try {
      const { beganMs, ...held } = await transferContent(side, db, holdMs, {
        prepare: async () => {
          onHeld()
          const beganMs = monotonicMs()
          const untilMs = beganMs + holdMs
          const settled = await inTime(settledNode(target, holdMs), untilMs)
          if (!settled) throw new WalcastError('INTO_ABORTED', { node, detail: UNSETTLED })
          const before = settled.value
          const leftMs = untilMs - monotonicMs()
          return { beganMs, before, point: await this.#way?.keep(node, before, leftMs) }
        },
      })
      return { ...held, node, seconds: (monotonicMs() - beganMs) / 1000 }
    } catch (error) {
      await this.#way?.forget()
      const abortion = aborted(node, error, holdMs)
      await noteInAudit(target, {
        action: 'restore',
        outcome: 'failed',
        detail: `${what}: ${abortion.message}`,
      })
      throw abortion
    }
  }
}

function aborted(node: string, error: unknown, holdMs: number): WalcastError {
  const key = keyOf(error)
  if (error instanceof WalcastError && key === 'INTO_ABORTED') return error
  if (key === 'SQLITE_BUSY') {
    const detail = `another program kept the write lock for longer than ${holdMs / 1000} s (--hold)`
    const cure =
      'nothing was changed there; end what writes for so long, or give the same command with a ' +
      'longer --hold'
    return new WalcastError('INTO_ABORTED', { node, detail, cure }, error)
  }
  return new WalcastError('INTO_ABORTED', { node, detail: messageOf(error) }, error)
}

/** Durable at once: an application may commit with less. The log carries no locks. */
async function syncLog(db: string): Promise<void> {
  const log = await openAside(`${db}-wal`, O_RDONLY | O_NOFOLLOW)
  try {
    await log.datasync()
  } finally {
    await log.close()
  }
}

function textOf({ epoch, txid }: { readonly epoch: number; readonly txid: number }): string {
  return `${epoch}-${txid}`
}
