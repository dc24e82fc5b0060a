/**
 * Restores what was asked for from an archive. A file that is missing or not sound is gone round
 * where another way leads to the same position. Where none does, the last position before it can
 * be had.
 */
import { type ArchivedPlace, formatArchiveName } from '../../proto/archiveNames.ts'
import { WalcastError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { checksumHex, xxh64 } from '../xxh64.ts'
import { isOfOneFile } from './contentFailures.ts'
import type { HeldFiles } from './heldFiles.ts'
import { type ArchivedPosition, type BadPieces, startOf } from './historyPositions.ts'
import { momentText } from './moment.ts'
import { provenWay } from './provenWay.ts'
import { type Restored, type RestoreSteps, restore } from './restore.ts'
import {
  bytesOf,
  endOf,
  type PlannedFile,
  pieceName,
  planRestore,
  type StoredFile,
} from './restorePlan.ts'
import {
  type ClusterArchive,
  findTarget,
  positionText,
  reachablePositions,
  type Target,
  type Wanted,
} from './restoreTarget.ts'

export interface PlannedRestore {
  readonly target: Target
  /** In the order in which they are read. */
  readonly files: readonly PlannedFile[]
  readonly bytes: number
}

export interface RestoreOrder {
  readonly wanted: Wanted
  /** Also an earlier position, when no way leads to the one that is wanted. */
  readonly isAsFarAsPossible: boolean
  /** Lists the archive. Called again when a file is gone that was listed. */
  list(bad: BadPieces): Promise<ClusterArchive>
  /** Holds what is read. Absent: nothing is held against removal. */
  readonly held?: HeldFiles
  /** Hears of each file that cannot be used. */
  onBad?(name: string, error: WalcastError): void
}

/** Whoever merges files of an archive removes them too; not as often as this within one restore. */
const MAX_LISTINGS = 5

export class ArchiveRestore {
  readonly #order: RestoreOrder
  readonly #bad: BadPieces = new Map()
  readonly #named = new Set<string>()
  /** Files that are about to be removed: other ways are better. */
  readonly #going = new Set<string>()
  /** Positions that files do not have although their names say so. */
  readonly #wrong = new Set<string>()
  #own: ClusterArchive | undefined
  /** The last position that a broken-off restore has proven, and the files that led there. */
  #partial: PlannedRestore | undefined
  #listings = 0

  constructor(order: RestoreOrder) {
    this.#order = order
  }

  /**
   * What would be read. Throws ARCHIVE_GAP, with the positions before and after it, and
   * POSITION_NOT_ARCHIVED.
   */
  async plan(): Promise<PlannedRestore> {
    this.#own ??= await this.#list()
    const own = this.#own
    const target = await findTarget(own, this.#order.wanted, this.#bad)
    const files = this.#sound(own)
    const exact = target.isCutOff ? undefined : await this.#filesTo(own, files, target)
    if (exact) return this.#told(planned(target, exact))
    const reachable = reachablePositions(own, files, target, this.#bad, this.#wrong)
    const around = await reachable.around(target.txid)
    const before = later(around.exact ?? around.before, this.#partial?.target)
    if (!this.#order.isAsFarAsPossible || !before) throw this.#cutOff(target, before, around.after)
    if (before === this.#partial?.target) return this.#told(this.#partial)
    const way = await this.#filesTo(own, this.#sound(own), before)
    if (!way) throw this.#cutOff(target, undefined, around.after)
    return this.#told(planned({ ...target, ...before, isLast: false, isCutOff: true }, way))
  }

  /** Restores to `path`. `onPlan` hears each plan that is begun. Throws what `restore` does too. */
  async run(
    path: string,
    steps: RestoreSteps,
    ops: FileOps,
    onPlan: (plan: PlannedRestore) => void,
  ): Promise<Restored> {
    try {
      for (;;) {
        const plan = await this.heldPlan()
        onPlan(plan)
        const restored = await this.#attempt(path, plan, steps, ops)
        if (restored) return restored
      }
    } finally {
      await this.#order.held?.release()
    }
  }

  /**
   * A plan whose files stay, as far as that can be had, until they are released or `run` ends. What
   * a process that died was about to remove may be all that there is.
   */
  async heldPlan(): Promise<PlannedRestore> {
    for (;;) {
      const plan = await this.plan()
      const going = (await this.#order.held?.hold(plan.files)) ?? new Set()
      const found = [...going].filter((name) => !this.#going.has(name))
      if (found.length === 0 || this.#listings >= MAX_LISTINGS) return plan
      for (const name of found) this.#going.add(name)
      this.#own = await this.#list()
    }
  }

  /** Undefined when a file of the plan cannot be used. */
  async #attempt(
    path: string,
    plan: PlannedRestore,
    steps: RestoreSteps,
    ops: FileOps,
  ): Promise<Restored | undefined> {
    const { archive } = this.#own ?? (await this.#list())
    const { target, files } = plan
    const turn = archive.inTurn(files)
    let proven: ArchivedPosition | undefined
    try {
      const restored = await restore(path, turn.opens, target, ops, {
        ...steps,
        plan: planKey(plan),
        onPosition: (at) => {
          proven = at
          steps.onPosition?.(at)
        },
      })
      // The time that the plan told: a snapshot may only know when it was made.
      return { ...restored, timeMs: target.timeMs }
    } catch (error) {
      const last = turn.last()
      if (!isOfOneFile(error) || !last) throw error
      if (error.key === 'ARCHIVE_MISSING' && this.#listings < MAX_LISTINGS) {
        this.#own = await this.#list()
        return undefined
      }
      this.#bad.set(pieceName(last), error)
      const upTo = files.findIndex(({ name }) => name === last)
      if (proven && this.#partial?.target.txid !== proven.txid)
        this.#partial = planned(
          { ...target, ...proven, isLast: false, isCutOff: true },
          files.slice(0, upTo + 1),
        )
      return undefined
    } finally {
      await turn.close()
    }
  }

  async #list(): Promise<ClusterArchive> {
    this.#listings++
    return this.#order.list(this.#bad)
  }

  #sound({ archive }: ClusterArchive): StoredFile[] {
    return archive.files.filter(({ name }) => !this.#bad.has(pieceName(name)))
  }

  /** The files that lead exactly to a position, and none behind it. */
  async #filesTo(
    { archive }: ClusterArchive,
    files: readonly StoredFile[],
    place: ArchivedPlace,
  ): Promise<PlannedFile[] | undefined> {
    const staying = files.filter(({ name }) => !this.#going.has(formatArchiveName(name)))
    const plan = (without: ReadonlySet<string>) =>
      planRestore(staying, place, without) ?? planRestore(files, place, without)
    return provenWay(plan, place, this.#wrong, ({ name }, txid) => this.#has(archive, name, txid))
  }

  async #has(
    archive: ClusterArchive['archive'],
    name: StoredFile['name'],
    txid: number,
  ): Promise<boolean> {
    try {
      return await archive.use(name, async ({ points, isOpen }) =>
        (isOpen ? points.slice(0, -1) : points).some((point) => point.txid === txid),
      )
    } catch (error) {
      if (!isOfOneFile(error)) throw error
      this.#bad.set(pieceName(name), error)
      return false
    }
  }

  /** Once it has said which files are not used. */
  #told(plan: PlannedRestore): PlannedRestore {
    for (const [name, error] of this.#bad)
      if (!this.#named.has(name)) this.#order.onBad?.(name, error)
    for (const name of this.#bad.keys()) this.#named.add(name)
    return plan
  }

  /** Between a position and the first file that begins later. */
  #missingText(txid: number): string {
    const later = this.#own?.pieces.filter(({ name }) => endOf(name).txid > txid) ?? []
    const next = later.reduce((least, piece) => Math.min(least, startOf(piece)), Infinity)
    return next > txid && next !== Infinity
      ? `the changes from txid ${txid} to ${next} are missing`
      : 'files are missing'
  }

  #cutOff(
    target: Target,
    before: ArchivedPosition | undefined,
    after: ArchivedPosition | undefined,
  ): WalcastError {
    const { atMs } = this.#order.wanted
    const [bad] = this.#bad
    const why = bad ? bad[1].message : this.#missingText(before?.txid ?? 0)
    const sides = [
      before ? `the last position before is ${positionText(before)}` : 'no position before is left',
      after ? `the first one after is ${positionText(after)}` : 'none after it is left',
    ]
    return new WalcastError('ARCHIVE_GAP', {
      name:
        atMs !== undefined
          ? `what was there at ${momentText(atMs)}`
          : wantedText(this.#order.wanted, target),
      detail: `${sides.join(', ')}; ${why}`,
      ...(before && {
        cure:
          'the same command with --as-far-as-possible restores ' +
          `${before.epoch}-${before.txid}; another copy of the archive may have more`,
      }),
    })
  }
}

function wantedText({ txid }: Wanted, target: Target): string {
  if (txid !== undefined) return `txid ${txid}`
  return target.isCutOff ? 'the newest position' : `position ${target.epoch}-${target.txid}`
}

function planned(target: Target, files: readonly PlannedFile[]): PlannedRestore {
  return { target, files, bytes: bytesOf(files) }
}

function later<T extends ArchivedPlace>(one: T | undefined, other: T | undefined): T | undefined {
  return other && (!one || other.txid > one.txid) ? other : one
}

/** Names a plan: which files of which length, and up to where. */
function planKey({ target, files }: PlannedRestore): string {
  const { incarnation, txid } = target
  const text = JSON.stringify([incarnation, txid, files.map(({ name, bytes }) => [name, bytes])])
  return checksumHex(xxh64(Buffer.from(text), 0n))
}
