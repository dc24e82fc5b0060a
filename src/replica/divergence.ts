/**
 * Keeps what this copy has and its leader has not, before a resync overwrites it.
 *
 *   keep (copy written whole) ──> resync: pages told, state visible ──> rows compared beside the stream
 *
 * A crash before the copy is whole leaves the database as it was; one after it finds the copy by its state checksum and does
 * not make a second; rows that were not compared are compared later.
 */
import { setImmediate as immediate } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { FileOps } from '../fileOps.ts'
import { copyDatabase } from '../sqlite/databaseCopy.ts'
import { PageSet } from '../sqlite/pageSet.ts'
import { checksumHex } from '../xxh64.ts'
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

/** Pages looked at without letting anything else run. */
const PAGES_AT_ONCE = 8192

export class Divergence {
  readonly #options: DivergenceOptions
  readonly #folder: KeptFolder
  /** Kept for the resync that is under way. */
  #current: Kept | undefined
  #comparing: RowComparison | undefined
  /** Names of those that this process has compared or failed to: none is tried again and again. */
  readonly #tried = new Set<string>()
  readonly #end = new AbortController()

  constructor(options: DivergenceOptions) {
    this.#options = options
    this.#folder = new KeptFolder(options.stateFolder, options.ops, options.maxDiverged, options.log)
  }

  get kept(): readonly Kept[] {
    return this.#folder.kept
  }

  /** Keeps the copy as it stands, unless that has been done. Throws DIVERGED_UNKEPT, and nothing may be overwritten then, or STOPPING. */
  async keep(copy: Copy, leader: string, reason: string): Promise<void> {
    const { log, maxDiverged, path } = this.#options
    const { position, checksum, pages } = copy.applier
    if (maxDiverged === 0) {
      log.warn({ reason, ...position }, 'commits that the leader lacks are given up: --max-diverged is 0')
      return
    }
    this.#folder.look()
    this.#current = this.#folder.kept.find(
      ({ about }) => about.checksum === checksum && about.pages === pages,
    )
    if (this.#current) return
    this.#folder.requireRoom(pages * copy.pageSize)
    this.#current = await copy.undisturbed(() => this.#keepNow(copy, leader, reason))
    log.warn(
      { kept: `${this.#folder.path}/${this.#current.name}`, database: path, ...position, reason },
      'this copy may hold commits that its leader lacks: kept aside before it is overwritten',
    )
  }

  #keepNow(copy: Copy, leader: string, reason: string): Promise<Kept> {
    const { node, clock, ops } = this.#options
    const { position, pages } = copy.applier
    const at = { at: new Date(clock.nowMs()).toISOString(), ...position }
    return this.#folder.add(at, async (folder) => {
      // Told by what was written: the copy itself may not be what it is taken for.
      const state = await copyDatabase(
        { ...copy.pages, pages },
        `${folder}/database.db`,
        ops,
        this.#end.signal,
      )
      const checksum = checksumHex(state)
      return {
        format: 1,
        ...at,
        node,
        checksum,
        pageSize: copy.pageSize,
        pages,
        leader,
        reason,
        state: 'kept',
      }
    })
  }

  /** The pages that are about to be overwritten, in the order in which they came, before they are. */
  async onOverwriting(...lists: readonly (readonly number[])[]): Promise<void> {
    if (!this.#current) return
    const pages = new PageSet(0)
    for (const list of lists) {
      for (let at = 0; at < list.length; at += PAGES_AT_ONCE) {
        for (const page of list.slice(at, at + PAGES_AT_ONCE)) pages.add(page)
        await immediate()
      }
    }
    await this.#options.ops.replace(this.#folder.file(this.#current, 'pages.txt'), await rangesOf(pages))
  }

  /** The copy is the leader's state: what is kept and was not compared yet is compared with it, one after another. */
  onLevel(checksum: string): void {
    this.#current = undefined
    if (this.#comparing || this.#end.signal.aborted) return
    this.#folder.look()
    const next = this.#folder.kept.find(
      ({ name, about }) => about.state === 'kept' && about.checksum !== checksum && !this.#tried.has(name),
    )
    if (!next) return
    this.#tried.add(next.name)
    void this.#compare(next).finally(() => this.onLevel(checksum))
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
      this.#comparing = compareRows(`${folder}/database.db`, path, `${folder}/rows.jsonl`)
      const { rows, isComplete } = await this.#comparing.result
      await this.#folder.update(kept, { state: 'compared', rows, isComplete })
      if (isComplete && rows.removed === 0 && rows.changed === 0) {
        this.#folder.remove(kept)
        log.info(
          { kept: folder, ...rows },
          'nothing of what was kept aside is missing at the leader: removed',
        )
      } else
        log.warn(
          { kept: folder, ...rows },
          'rows that the leader lacks or has otherwise are listed in rows.jsonl',
        )
    } catch (error) {
      if (!this.#end.signal.aborted) await this.#onUncompared(kept, messageOf(error))
    } finally {
      this.#comparing = undefined
    }
  }

  async #onUncompared(kept: Kept, detail: string): Promise<void> {
    const { log } = this.#options
    log.warn({ kept: kept.name, error: detail }, 'the rows of what was kept aside could not be compared')
    try {
      await this.#folder.update(kept, { state: 'not compared', detail })
    } catch (error) {
      log.error({ error: messageOf(error) }, 'the state of what was kept aside could not be written')
    }
  }
}

/** A line for each run of neighbouring pages. */
async function rangesOf(pages: PageSet): Promise<string> {
  let text = ''
  let [first, last] = [0, 0]
  const end = () => {
    if (first > 0) text += first === last ? `${first}\n` : `${first}-${last}\n`
  }
  for (let part = pages.take(1, PAGES_AT_ONCE); part.length > 0; part = pages.take(last + 1, PAGES_AT_ONCE)) {
    for (const page of part) {
      if (page !== last + 1 || first === 0) {
        end()
        first = page
      }
      last = page
    }
    await immediate()
  }
  end()
  return text
}
