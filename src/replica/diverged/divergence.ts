/**
 * Keeps what this copy has and its leader lacks, before a resync overwrites it.
 *
 *   pages arrive ──> bundle written ──> new state visible ──> rows compared beside the stream
 *
 * A crash before the bundle is whole leaves the database as it was. After a crash between bundle
 * and new state, the next resync replaces the bundle. Rows that a crash left uncompared are
 * compared later. No bound ends replication: older bundles make room.
 */
import type { Logger } from 'pino'
import { keyOf, messageOf, WalcastError } from '../../errors.ts'
import type { Clock } from '../../platform/clock.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import type { Applier } from '../copy/applier.ts'
import type { Copy } from '../copy/copy.ts'
import { type KeptBounds, type KeptKind, overBounds } from './keptBounds.ts'
import { type Kept, type KeptBundles, type KeptDivergence, KeptFolder } from './keptFolder.ts'
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
  /** A bundle was deleted to stay within a bound. */
  onDropped(kind: KeptKind): void
}

/** Why a bundle is made. */
export type KeptCause = Pick<KeptDivergence, 'leader' | 'reason' | 'kind' | 'isDamaged'>

/** A copy under resync, with its position. */
export type DivergedCopy = ResyncedCopy & {
  readonly applier: Pick<Applier, 'position' | 'checksum'>
}

/** A copy that can be kept as a whole. */
export type WholeCopy = DivergedCopy & Pick<Copy, 'writeTo'>

/** Fills the folder of a bundle. Returns false when some rows in it cannot be decoded. */
type KeptWriter = (folder: string) => Promise<boolean>

export class Divergence implements KeptBundles {
  readonly #options: DivergenceOptions
  readonly #folder: KeptFolder
  #comparing: (RowComparison & { readonly name: string }) | undefined
  /** Bundles that this process has tried to compare. It tries each once. */
  readonly #tried = new Set<string>()
  readonly #end = new AbortController()

  constructor(options: DivergenceOptions) {
    this.#options = options
    this.#folder = new KeptFolder(options.stateFolder, options.ops, options.log)
  }

  get kept(): readonly Kept[] {
    return this.#folder.kept
  }

  get path(): string {
    return this.#folder.path
  }

  look(): void {
    this.#folder.look()
  }

  bytes(kept: Pick<Kept, 'name'>): number {
    return this.#folder.bytes(kept)
  }

  isComparing(name: string): boolean {
    return this.#comparing?.name === name
  }

  remove(kept: Pick<Kept, 'name'>): void {
    this.#folder.remove(kept)
  }

  /**
   * Keeps the part of the published state that the resync, with its `last` pages, is about to
   * overwrite. The caller keeps the copy undisturbed until then. When this throws DIVERGED_UNKEPT
   * or STOPPING, the caller must overwrite nothing.
   */
  async keep(copy: DivergedCopy, last: LastPages, cause: KeptCause): Promise<void> {
    const { ops } = this.#options
    await this.#keep(copy, cause, (folder) =>
      writeImages(folder, { copy, last, ops, signal: this.#end.signal }),
    )
  }

  /** Keeps the whole copy. It takes as much space as the database until its rows are compared. */
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
        'discarding commits that the leader lacks: --max-diverged is 0',
      )
      return
    }
    this.#folder.look()
    // A crash may have left a bundle of this very state. A resync from another leader may overwrite
    // other pages, so that bundle may lack some.
    const replaced = this.#folder.kept.filter(
      ({ about }) => about.state === 'kept' && about.checksum === checksum && about.pages === pages,
    )
    // A state that diverged before the crash is still diverged.
    const isDiverged = replaced.some(({ about }) => about.kind === 'diverged')
    const kept = await this.#add(copy, isDiverged ? { ...cause, kind: 'diverged' } : cause, write)
    for (const each of replaced) this.#folder.remove(each)
    this.#keepBounds(kept)
    const where = { kept: `${this.#folder.path}/${kept.name}`, database: path, ...position, reason }
    if (kind === 'routine')
      log.info(where, 'kept aside the rows that may differ in this copy; comparing them next')
    else
      log.warn(
        where,
        'this copy may hold commits that its leader lacks; kept aside before the resync',
      )
  }

  /** On a full disk it deletes routine bundles, the oldest first. */
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

  /** Brings the bundles within their bounds after a comparison. Never throws. */
  #tidy(): void {
    try {
      this.#keepBounds()
    } catch (error) {
      this.#options.log.error(
        { error: messageOf(error) },
        'could not bring the bundles kept aside within their bounds',
      )
    }
  }

  /** `incoming` is the new bundle, if there is one. */
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
        'one bundle kept aside is alone over --max-diverged-bytes',
      )
  }

  /** Logs what it deletes, which may be the last copy of those rows. */
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
    if (kind === 'routine') log.warn(what, 'deleted a routine bundle kept aside')
    else log.error(what, 'deleted a bundle kept aside, with commits that the leader may lack')
  }

  /**
   * The copy is the leader's state now, so the bundles that are not compared yet are compared with
   * it, one after another.
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
      this.#comparing = { ...compareRows(folder, path), name: kept.name }
      const { rows, ...result } = await this.#comparing.result
      const isComplete = result.isComplete && kept.about.isComplete !== false
      await this.#folder.update(kept, { state: 'compared', rows, isComplete })
      if (isComplete && rows.removed === 0 && rows.changed === 0) {
        this.#folder.remove(kept)
        log.info(
          { kept: folder, ...rows },
          'the leader lacks none of the rows kept aside; removed the bundle',
        )
      } else {
        log.warn(
          { kept: folder, ...rows, isComplete },
          'listed the rows that the leader lacks, or that differ there, in rows.jsonl',
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
    // The copy is the leader's state, to the byte. What the resync overwrote may have been the last
    // sound state.
    const isCorrupt = keyOf(error) === 'DB_CORRUPT'
    if (isCorrupt)
      log.error(
        what,
        "the leader's database is malformed, and this copy too; run PRAGMA integrity_check",
      )
    else log.warn(what, 'could not compare the rows kept aside')
    try {
      const kind = isCorrupt ? { kind: 'diverged' as const } : {}
      await this.#folder.update(kept, { state: 'not compared', detail, ...kind })
    } catch (error) {
      log.error({ error: messageOf(error) }, 'could not write the state of a bundle kept aside')
    }
  }
}
