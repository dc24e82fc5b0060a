/**
 * Keeps what this copy has and its leader has not, before a resync overwrites it.
 *
 *   resync: pages come ──> bundle written whole ──> state visible ──> rows compared beside the stream
 *
 * A crash before the bundle is whole leaves the database as it was; one after it and before the
 * state is visible has the next resync write another in its place. Rows that were not compared are
 * compared later. No bound ends replication: older bundles go.
 */
import type { Logger } from 'pino'
import { keyOf, messageOf, WalcastError } from '../../errors.ts'
import type { Clock } from '../../platform/clock.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import type { Applier } from '../copy/applier.ts'
import type { Copy } from '../copy/copy.ts'
import { type KeptBounds, type KeptKind, overBounds } from './keptBounds.ts'
import { type Kept, type KeptDivergence, KeptFolder } from './keptFolder.ts'
import { writeImages } from './keptImages.ts'
import { compareRows, type RowComparison } from './keptRows.ts'
import type { LastPages, ResyncedCopy } from './overwriting.ts'

export interface DivergenceOptions extends KeptBounds {
  readonly path: string
  readonly stateFolder: string
  readonly node: string
  readonly ops: FileOps
  readonly clock: Clock
  readonly log: Logger
  /** A bundle was thrown away for the sake of a bound. */
  onDropped(kind: KeptKind): void
}

/** Why a bundle is made. */
export type KeptCause = Pick<KeptDivergence, 'leader' | 'reason' | 'kind' | 'isDamaged'>

/** What is kept of a copy, and where it stands. */
export type DivergedCopy = ResyncedCopy & {
  readonly applier: Pick<Applier, 'position' | 'checksum'>
}

/** One that is kept as it is. */
export type WholeCopy = DivergedCopy & Pick<Copy, 'writeTo'>

/** Fills the folder of a bundle. False when the rows in it cannot all be told. */
type KeptWriter = (folder: string) => Promise<boolean>

export class Divergence {
  readonly #options: DivergenceOptions
  readonly #folder: KeptFolder
  #comparing: RowComparison | undefined
  /** Names of those that this process has compared or failed to: none is tried again and again. */
  readonly #tried = new Set<string>()
  readonly #end = new AbortController()

  constructor(options: DivergenceOptions) {
    this.#options = options
    this.#folder = new KeptFolder(options.stateFolder, options.ops, options.log)
  }

  get kept(): readonly Kept[] {
    return this.#folder.kept
  }

  /**
   * Keeps what of the published state `last` and the pages before it are about to overwrite. The
   * caller keeps the copy undisturbed until they are published. Throws DIVERGED_UNKEPT, and nothing
   * may be overwritten then, or STOPPING.
   */
  async keep(copy: DivergedCopy, last: LastPages, cause: KeptCause): Promise<void> {
    const { ops } = this.#options
    await this.#keep(copy, cause, (folder) =>
      writeImages(folder, { copy, last, ops, signal: this.#end.signal }),
    )
  }

  /** The same, all of it: it costs as much as the database, until the rows have been compared. */
  async keepWhole(copy: WholeCopy, cause: KeptCause): Promise<void> {
    await this.#keep(copy, cause, async (folder) => {
      await copy.writeTo(`${folder}/database.db`)
      return true
    })
  }

  async #keep(copy: DivergedCopy, cause: KeptCause, write: KeptWriter): Promise<void> {
    const { log, maxDiverged, path } = this.#options
    const { position, checksum, pages } = copy.applier
    const { reason, kind } = cause
    if (maxDiverged === 0) {
      log.warn(
        { reason, ...position },
        'commits that the leader lacks are given up: --max-diverged is 0',
      )
      return
    }
    this.#folder.look()
    // Another leader may have other pages: a bundle that a crash has left of this very state need
    // not have all of them.
    const replaced = this.#folder.kept.filter(
      ({ about }) => about.state === 'kept' && about.checksum === checksum && about.pages === pages,
    )
    // What was no routine matter before the crash is none now.
    const isDiverged = replaced.some(({ about }) => about.kind === 'diverged')
    const kept = await this.#add(copy, isDiverged ? { ...cause, kind: 'diverged' } : cause, write)
    for (const each of replaced) this.#folder.remove(each)
    this.#keepBounds(kept)
    const where = { kept: `${this.#folder.path}/${kept.name}`, database: path, ...position, reason }
    if (kind === 'routine')
      log.info(where, 'rows that may differ in this copy are kept aside until they are compared')
    else
      log.warn(
        where,
        'this copy may hold commits that its leader lacks: kept aside before it is overwritten',
      )
  }

  /** On a full disk routine bundles make room, the oldest first. */
  async #add(copy: DivergedCopy, cause: KeptCause, write: KeptWriter): Promise<Kept> {
    for (;;) {
      try {
        return await this.#write(copy, cause, write)
      } catch (error) {
        const isFull = error instanceof Error && keyOf(error.cause) === 'DISK_FULL'
        const routine = this.kept.find(({ about }) => about.kind === 'routine')
        if (!isFull || !routine) throw error
        this.#drop(routine, 'the disk is full')
      }
    }
  }

  #write(copy: DivergedCopy, cause: KeptCause, write: KeptWriter): Promise<Kept> {
    const { node, clock } = this.#options
    const { position, pages, checksum } = copy.applier
    const at = { at: new Date(clock.nowMs()).toISOString(), ...position }
    return this.#folder.add(at, async (folder) => {
      const isComplete = await write(folder)
      const { pageSize } = copy
      const found = isComplete ? {} : { isComplete }
      return {
        format: 1,
        ...cause,
        ...at,
        node,
        checksum,
        pageSize,
        pages,
        state: 'kept',
        ...found,
      }
    })
  }

  /** Once more than a bound allows was compared, the rest makes room. Never throws. */
  #tidy(): void {
    try {
      this.#keepBounds()
    } catch (error) {
      this.#options.log.error(
        { error: messageOf(error) },
        'what is kept aside could not be brought within its bounds',
      )
    }
  }

  /** `incoming` has just been made. */
  #keepBounds(incoming?: Kept): void {
    const { log, maxDivergedBytes, maxDiverged } = this.#options
    const weighed = this.kept.map((kept) => ({
      ...kept,
      kind: kept.about.kind,
      bytes: this.#folder.bytes(kept),
    }))
    for (const kept of overBounds(weighed, this.#options, incoming?.name)) {
      const bound = weighed.length > maxDiverged ? '--max-diverged' : '--max-diverged-bytes'
      this.#drop(kept, `${bound} allows no more`)
    }
    const bytes = weighed.find(({ name }) => name === incoming?.name)?.bytes ?? 0
    if (bytes > maxDivergedBytes)
      log.error(
        { kept: incoming?.name, bytes },
        'what is kept aside is alone over --max-diverged-bytes',
      )
  }

  /** Never silently: what goes may be the last of it. */
  #drop(kept: Kept, why: string): void {
    const { log, onDropped } = this.#options
    const { kind, at, reason, epoch, txid, rows } = kept.about
    this.#folder.remove(kept)
    onDropped(kind)
    const what = {
      kept: `${this.#folder.path}/${kept.name}`,
      at,
      epoch,
      txid,
      kind,
      reason,
      rows,
      why,
    }
    if (kind === 'routine')
      log.warn(what, 'a routine bundle that was kept aside has been thrown away')
    else
      log.error(
        what,
        'commits that were kept aside and that the leader may lack have been thrown away',
      )
  }

  /**
   * The copy is the leader's state: what is kept and was not compared yet is compared with it, one
   * after another.
   */
  onLevel(checksum: string): void {
    if (this.#comparing || this.#end.signal.aborted) return
    this.#folder.look()
    const next = this.#folder.kept.find(
      ({ name, about }) =>
        about.state === 'kept' && about.checksum !== checksum && !this.#tried.has(name),
    )
    if (!next) return
    this.#tried.add(next.name)
    void this.#compare(next).finally(() => {
      this.#tidy()
      this.onLevel(checksum)
    })
  }

  stop(): void {
    this.#end.abort()
    this.#comparing?.stop()
  }

  /** Never throws. */
  async #compare(kept: Kept): Promise<void> {
    const { log, path } = this.#options
    const folder = `${this.#folder.path}/${kept.name}`
    try {
      this.#comparing = compareRows(folder, path)
      const { rows, ...result } = await this.#comparing.result
      const isComplete = result.isComplete && kept.about.isComplete !== false
      await this.#folder.update(kept, { state: 'compared', rows, isComplete })
      if (isComplete && rows.removed === 0 && rows.changed === 0) {
        this.#folder.remove(kept)
        log.info(
          { kept: folder, ...rows },
          'nothing of what was kept aside is missing at the leader: removed',
        )
      } else {
        log.warn(
          { kept: folder, ...rows, isComplete },
          'rows that the leader lacks or has otherwise are listed in rows.jsonl',
        )
      }
    } catch (error) {
      if (!this.#end.signal.aborted) await this.#onUncompared(kept, error)
    } finally {
      this.#comparing = undefined
    }
  }

  async #onUncompared(kept: Kept, error: unknown): Promise<void> {
    const { log } = this.#options
    const detail =
      error instanceof WalcastError ? `${error.code}: ${error.message}` : messageOf(error)
    const what = { kept: kept.name, error: detail }
    // The state that came is the leader's, to the byte: what it has overwritten may be the last
    // that was sound.
    const isCorrupt = keyOf(error) === 'DB_CORRUPT'
    if (isCorrupt)
      log.error(
        what,
        "the leader's database is malformed, and this copy is like it now: check both with PRAGMA integrity_check",
      )
    else log.warn(what, 'the rows of what was kept aside could not be compared')
    try {
      const kind = isCorrupt ? { kind: 'diverged' as const } : {}
      await this.#folder.update(kept, { state: 'not compared', detail, ...kind })
    } catch (error) {
      log.error(
        { error: messageOf(error) },
        'the state of what was kept aside could not be written',
      )
    }
  }
}
