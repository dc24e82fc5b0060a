/**
 * Keeps what this copy has and its leader has not, before a resync overwrites it.
 *
 *   keep (copy written whole) ──> resync: pages told, state visible ──> rows compared beside the stream
 *
 * A crash before the copy is whole leaves the database as it was; one after it finds the copy by its state checksum and does
 * not make a second; rows that were not compared are compared later.
 */
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { FileOps } from '../fileOps.ts'
import { copyDatabase } from '../sqlite/databaseCopy.ts'
import type { Copy } from './copy.ts'
import { type Kept, KeptFolder } from './keptFolder.ts'
import { compareRows, type RowComparison } from './keptRows.ts'

export interface DivergenceOptions {
  readonly path: string
  readonly stateFolder: string
  readonly node: string
  /** Divergences kept at most; 0 keeps none. */
  readonly maxDiverged: number
  readonly ops: FileOps
  readonly clock: Clock
  readonly log: Logger
}

export class Divergence {
  readonly #options: DivergenceOptions
  readonly #folder: KeptFolder
  #current: Kept | undefined
  #comparing: RowComparison | undefined
  #isStopped = false

  constructor(options: DivergenceOptions) {
    this.#options = options
    this.#folder = new KeptFolder(options.stateFolder, options.ops, options.maxDiverged)
  }

  get kept(): readonly Kept[] {
    return this.#folder.kept
  }

  /** Keeps the copy as it stands, unless that has been done. Throws DIVERGED_UNKEPT, and nothing may be overwritten then. */
  async keep(copy: Copy, leader: string, reason: string): Promise<void> {
    const { node, clock, log, ops, maxDiverged, path } = this.#options
    const { position, checksum, pages } = copy.applier
    const { pageSize } = copy
    if (maxDiverged === 0) {
      log.warn({ reason, ...position }, 'commits that the leader lacks are given up: --max-diverged is 0')
      return
    }
    this.#current = this.#folder.kept.find(
      ({ about }) => about.checksum === checksum && about.pages === pages,
    )
    if (this.#current) return
    this.#folder.requireRoom(pages * pageSize)
    const at = new Date(clock.nowMs()).toISOString()
    const about = {
      format: 1,
      at,
      node,
      ...position,
      checksum,
      pageSize,
      pages,
      leader,
      reason,
      state: 'kept',
    } as const
    this.#current = await copy.undisturbed(() =>
      this.#folder.add(about, (folder) => copyDatabase(copy.pages, pages, `${folder}/database.db`, ops)),
    )
    const { name } = this.#current
    log.warn(
      { kept: `${this.#folder.path}/${name}`, database: path, ...position, reason },
      'this copy may hold commits that its leader lacks: kept aside before it is overwritten',
    )
  }

  /** The pages that are about to be overwritten, before they are. */
  async onOverwriting(pages: readonly number[]): Promise<void> {
    if (!this.#current) return
    const numbers = [...new Set(pages)].sort((a, b) => a - b)
    await this.#options.ops.replace(this.#folder.file(this.#current, 'pages.txt'), `${numbers.join('\n')}\n`)
  }

  /** The copy is the leader's state: what is kept and was not compared yet is compared with it, one after another. */
  onLevel(checksum: string): void {
    this.#current = undefined
    if (this.#comparing || this.#isStopped) return
    const next = this.#folder.kept.find(({ about }) => about.state === 'kept' && about.checksum !== checksum)
    if (next) void this.#compare(next).then((goOn) => goOn && this.onLevel(checksum))
  }

  stop(): void {
    this.#isStopped = true
    this.#comparing?.stop()
  }

  /** Never throws. False when it is to be done another time. */
  async #compare(kept: Kept): Promise<boolean> {
    const { log, path } = this.#options
    const folder = `${this.#folder.path}/${kept.name}`
    try {
      this.#comparing = compareRows(`${folder}/database.db`, path, `${folder}/rows.jsonl`)
      const { rows, isComplete } = await this.#comparing.result
      await this.#folder.update(kept, { state: 'compared', rows })
      if (isComplete && rows.removed === 0 && rows.changed === 0) {
        this.#folder.remove(kept)
        log.info(
          { kept: folder, added: rows.added },
          'nothing of what was kept aside is missing at the leader: removed',
        )
      } else
        log.warn(
          { kept: folder, ...rows },
          'rows that the leader lacks or has otherwise are listed in rows.jsonl',
        )
    } catch (error) {
      if (this.#isStopped) return false
      const detail = messageOf(error)
      log.warn({ kept: folder, error: detail }, 'the rows of what was kept aside could not be compared')
      await this.#folder.update(kept, { state: 'not compared', detail }).catch((failure) => {
        log.error({ error: messageOf(failure) }, 'the state of what was kept aside could not be written')
      })
    } finally {
      this.#comparing = undefined
    }
    return !this.#isStopped
  }
}
