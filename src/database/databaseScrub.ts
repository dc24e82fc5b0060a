/** The scrub of a database in either role: its log lines, metrics and answers. */
import type { Position } from '../../proto/position.ts'
import type { NodeChecks, PositionsAnswer, ScrubAnswer } from '../api/checks.ts'
import type { ScrubReport } from '../api/databaseStatus.ts'
import type { NodeRole } from '../api/roleAnswers.ts'
import { messageOf } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import { MAX_TOLD, Scrubber, type ScrubObserver } from '../sqlite/scrub/scrubber.ts'
import type { RottenPage } from '../sqlite/scrub/scrubPass.ts'
import { checksumHex } from '../xxh64.ts'
import type { EngineParts, EngineStatus } from './engine.ts'
import { PositionRing } from './positionRing.ts'

/** The part of an engine that a scrub reads. */
export interface ScrubbedEngine {
  /** Undefined while only part of a transaction has arrived, or the database is not open. */
  pages(): CheckedPages | undefined
  position(): Position
  /** Captures what has been committed until now. */
  look(): void
  role(): NodeRole
  status(): EngineStatus
  isTrusted(): boolean
  /** Undefined on a leader: no other node has the right images. */
  readonly repair?: {
    /** Gives false when it cannot repair now. */
    pages(rotten: readonly RottenPage[]): boolean
    all(): void
  }
}

export class DatabaseScrub implements NodeChecks {
  readonly #parts: EngineParts
  readonly #engine: ScrubbedEngine
  readonly #scrubber: Scrubber
  readonly #ring = new PositionRing()
  readonly #clock: Clock
  #saidCached = false

  constructor(parts: EngineParts, engine: ScrubbedEngine) {
    this.#parts = parts
    this.#engine = engine
    this.#clock = parts.clock
    const { scrubRate: bytesPerSecond, scrubEveryMs: everyMs } = parts.setup.options
    this.#scrubber = new Scrubber(
      { bytesPerSecond, everyMs, clock: this.#clock },
      {
        pages: () => engine.pages(),
        look: () => engine.look(),
        isTrusted: () => engine.isTrusted(),
        canRepair: engine.repair !== undefined,
        repair: (rotten) => engine.repair?.pages(rotten) ?? false,
        repairAll: () => engine.repair?.all(),
        observer: this.#observer(),
      },
    )
    parts.metrics.observeScrub(() => this.report)
    this.#scrubber.start()
  }

  /** To be called when a batch was captured or applied whole. */
  onMoved(): void {
    const pages = this.#engine.pages()
    if (!pages) return
    const { epoch, txid } = this.#engine.position()
    this.#ring.add(epoch, txid, pages.sums.state)
  }

  /** To be called when a resync has brought the copy to the leader's state. */
  onSynced(): void {
    this.#ring.clear()
    this.#scrubber.recheck()
  }

  get report(): ScrubReport {
    const { lastPassMs, passes, running, rotten, rottenPages, unexplained, direct } =
      this.#scrubber.status
    const { scrubRate } = this.#parts.setup.options
    return {
      background: scrubRate > 0,
      passes,
      ...(lastPassMs > 0 ? { lastPassAt: new Date(lastPassMs).toISOString() } : {}),
      ...(running ? { running } : {}),
      ...(direct === undefined ? {} : { direct }),
      rotten,
      rottenPages,
      unexplained,
    }
  }

  async scrub(): Promise<ScrubAnswer> {
    const startMs = this.#clock.nowMs()
    const { pagesRead, isDirect, isWhole, rotten } = await this.#scrubber.now()
    const { epoch, txid, checksum, pages, pageSize } = this.#engine.status()
    const numbers = rotten.map(({ page }) => page)
    return {
      ...this.#about,
      epoch,
      txid,
      checksum,
      pages,
      pageSize,
      pagesRead,
      direct: isDirect,
      whole: isWhole,
      rotten: numbers.slice(0, MAX_TOLD),
      rottenPages: numbers.length,
      unexplained: this.#scrubber.status.unexplained,
      seconds: (this.#clock.nowMs() - startMs) / 1000,
    }
  }

  positions(): PositionsAnswer {
    const { state, pageSize } = this.#engine.status()
    return { ...this.#about, state, pageSize, positions: this.#positions() }
  }

  stop(): Promise<void> {
    return this.#scrubber.stop()
  }

  get #about() {
    const { node, cluster } = this.#parts.nodeFile.record
    return { node, cluster, role: this.#engine.role() }
  }

  #positions(): PositionsAnswer['positions'] {
    if (!this.#engine.isTrusted()) return []
    const { epoch, txid, checksum } = this.#engine.status()
    const recent = this.#ring
      .list()
      .map((position) => ({ ...position, checksum: checksumHex(position.checksum) }))
    const last = recent.at(-1)
    const isKnown = checksum === '' || (last?.epoch === epoch && last.txid === txid)
    return isKnown ? recent : [...recent, { epoch, txid, checksum }]
  }

  #observer(): ScrubObserver {
    const { metrics, path } = this.#parts
    const { log } = this.#parts.setup
    const counts = metrics.scrub()
    const { repair } = this.#engine
    return {
      onChecked: (pages) => counts.onChecked(pages),
      onPass: ({ isWhole, isDirect, pagesRead }) => {
        if (isWhole) counts.onPass()
        else log.warn({ pagesRead }, 'scrub ended early: too many pages are rotten')
        if (isDirect || this.#saidCached) return
        this.#saidCached = true
        log.info('this file system has no direct reads: the scrub reads through the page cache')
      },
      onRotten: (pages) => {
        counts.onRotten(pages.length)
        const found = { path, pages: pages.slice(0, MAX_TOLD), count: pages.length }
        if (repair)
          log.warn(
            found,
            'rotten pages: the file does not hold what was written; repairing them from the leader',
          )
        else
          log.error(
            found,
            'rotten pages: the file does not hold what was written, and a leader cannot repair it',
          )
      },
      onRepaired: (pages) => {
        counts.onRepaired(pages.length)
        log.info(
          { pages: pages.slice(0, MAX_TOLD), count: pages.length },
          'rotten pages are right again',
        )
      },
      onStateWrong: () => {
        log.error(
          { path },
          'the state checksum in memory does not follow from the page checksums in memory',
        )
        repair?.all()
      },
      onFailure: (error) =>
        log.error({ error: messageOf(error) }, 'scrub failed; the next one starts as planned'),
    }
  }
}
