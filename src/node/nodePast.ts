/** The past of a node's database for those who ask the node: from its archive, by its options. */
import { basename, join } from 'node:path'
import type { Asker } from '../api/asker.ts'
import {
  MAX_QUERY_MS,
  type PastContents,
  type PastDesk,
  type PastDownload,
  type PastMoment,
  type PastPlan,
  type PastQueryOrder,
  type PastRestoreOrder,
  type PastRows,
  type RestoreReport,
} from '../api/past.ts'
import { parseNamedMoment } from '../backup/moment.ts'
import { type AskerLimits, PastAskers } from '../backup/past/pastAskers.ts'
import type { PastAnswers, PastOrder, PastState, RestoreNews } from '../backup/past/pastOrder.ts'
import { askPast } from '../backup/past/pastProcess.ts'
import { PastRestores } from '../backup/past/pastRestores.ts'
import { isTaken, requireRestoredName } from '../backup/past/restoredPlace.ts'
import type { NodeSetup } from '../database/engine.ts'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import { makeFolder } from '../platform/fileOps.ts'
import { freeBytes } from '../platform/freeBytes.ts'
import { cancelTimer, setTimer, wallMs } from '../platform/time.ts'
import { type AuditParts, auditedDurably } from './auditedChange.ts'

export interface NodePastParts extends AuditParts {
  readonly setup: NodeSetup
  readonly stateFolder: string
  /** Hears of each question that is refused because others are answered. */
  onBusy(): void
}

/** A query may take all of its time and memory. */
const QUERIES: AskerLimits = { each: 1, all: 2 }
const LOOKS: AskerLimits = { each: 2, all: 4 }
/** Lists and indexes of an archive that is far away; also those that a query needs first. */
const LOOK_MS = 60_000

export class NodePast implements PastDesk {
  readonly #parts: NodePastParts
  readonly #queries: PastAskers
  readonly #looks: PastAskers
  readonly #restores: PastRestores
  readonly #folder: string
  readonly #workFolder: string
  readonly #stopping = new AbortController()

  constructor(parts: NodePastParts) {
    const { setup, stateFolder, nodeFile } = parts
    const node = () => nodeFile.record.node
    this.#parts = parts
    this.#folder = setup.options.restoreTo ?? join(stateFolder, 'restored')
    // Another node may have the same folder.
    this.#workFolder = join(this.#folder, `.restoring-${node()}`)
    this.#queries = new PastAskers(QUERIES, node)
    this.#looks = new PastAskers(LOOKS, node)
    this.#restores = new PastRestores({
      workFolder: this.#workFolder,
      node,
      onLeft: (error) =>
        setup.log.warn(
          { folder: this.#workFolder, error: messageOf(error) },
          'cannot remove what is left of a restore; it is tried again at the next one',
        ),
    })
  }

  contents(place: number, { reader }: Asker, gone: AbortSignal): Promise<PastContents> {
    const order = { kind: 'contents', ...this.#placeOf(place) } as const
    return this.#refused(
      this.#looks.run(reader, () => this.#answer<'contents'>(order, gone, LOOK_MS)),
    )
  }

  async plan(
    moment: PastMoment,
    name: string | undefined,
    { reader }: Asker,
    gone: AbortSignal,
  ): Promise<PastPlan> {
    if (name !== undefined) requireRestoredName(name)
    const order = { kind: 'plan', ...this.#stateOf(moment) } as const
    const plan = await this.#refused(
      this.#looks.run(reader, () => this.#answer<'plan'>(order, gone, LOOK_MS)),
    )
    return { ...plan, target: this.#targetOf(name) }
  }

  query(order: PastQueryOrder, { reader, by }: Asker, gone: AbortSignal): Promise<PastRows> {
    const { sql, rows, at, place } = order
    const timeoutMs = Math.min(order.timeoutMs, MAX_QUERY_MS)
    const asked = { kind: 'query', ...this.#stateOf(order), sql, rows, timeoutMs } as const
    const answered = this.#queries.run(reader, () =>
      this.#audited(by, `a query at ${at}, ${placeText(place)}`, () =>
        this.#answer<'query'>(asked, gone, timeoutMs + LOOK_MS),
      ),
    )
    return this.#refused(answered)
  }

  restore(order: PastRestoreOrder, { reader, by }: Asker): RestoreReport {
    const { name, isForced, at, place } = order
    if (name !== undefined) requireRestoredName(name)
    const state = this.#stateOf(order)
    const reserve = this.#parts.setup.options.drillReserve
    const target = { folder: this.#folder, name, isForced, reserve }
    const kind = name === undefined ? 'download' : 'file'
    const file = name === undefined ? this.#downloadName(at) : join(this.#folder, name)
    const what = name === undefined ? 'a restore to be downloaded' : `a restore to ${file}`
    const nameOf = (position: string) => this.#downloadName(position)
    const about = { kind, place: state.place, position: at, file, by, reader, nameOf } as const
    return this.#restores.begin(about, (signal, onNews, workFolder) =>
      this.#audited(by, `${what} of ${at}, ${placeText(place)}`, () =>
        this.#restored(
          { kind: 'restore', ...state, target: { ...target, workFolder } },
          signal,
          onNews,
        ),
      ),
    )
  }

  cancel(id: string): Promise<RestoreReport> {
    return this.#restores.cancel(id)
  }

  report(): RestoreReport | undefined {
    return this.#restores.report()
  }

  async download(id: string, { by }: Asker): Promise<PastDownload> {
    const what = `the download of ${this.#restores.positionOf(id) ?? 'a file that is gone'}`
    return this.#audited(by, what, () => this.#restores.download(id))
  }

  /** Ends every process that it has begun. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#restores.stop()
  }

  async #restored(
    order: Extract<PastOrder, { readonly kind: 'restore' }>,
    signal: AbortSignal,
    onNews: (news: RestoreNews) => void,
  ): Promise<PastAnswers['restore']> {
    try {
      return await askPast<'restore'>(order, signal, onNews)
    } catch (error) {
      if (keyOf(error) !== 'STOPPING') throw error
      throw new WalcastError('STOPPING', { message: 'it was cancelled' }, error)
    }
  }

  /** Throws QUERY_FAILED after `limitMs`, and CALLER_GONE. */
  async #answer<Kind extends 'contents' | 'plan' | 'query'>(
    order: Extract<PastOrder, { readonly kind: Kind }>,
    gone: AbortSignal,
    limitMs: number,
  ): Promise<PastAnswers[Kind]> {
    const ending = new AbortController()
    const end = () => ending.abort()
    const ends = [gone, this.#stopping.signal]
    for (const signal of ends) signal.addEventListener('abort', end)
    if (gone.aborted) end()
    const timer = setTimer(end, limitMs)
    try {
      return await askPast<Kind>(order, ending.signal)
    } catch (error) {
      if (keyOf(error) !== 'STOPPING' || this.#stopping.signal.aborted) throw error
      if (gone.aborted) throw new WalcastError('CALLER_GONE', { wanted: 'the past' }, error)
      const detail = `it took longer than ${limitMs / 1000} s`
      throw new WalcastError('QUERY_FAILED', { detail }, error)
    } finally {
      cancelTimer(timer)
      for (const signal of ends) signal.removeEventListener('abort', end)
    }
  }

  async #refused<T>(answered: Promise<T>): Promise<T> {
    try {
      return await answered
    } catch (error) {
      if (keyOf(error) === 'PAST_BUSY') this.#parts.onBusy()
      throw error
    }
  }

  #audited<T>(by: string, detail: string, read: () => Promise<T>): Promise<T> {
    return auditedDurably(this.#parts, { action: 'archive-read', by, detail }, read)
  }

  /** Throws BAD_REQUEST. */
  #stateOf({ place, at, incarnation }: PastMoment): PastState {
    const moment = parseNamedMoment(at, wallMs())
    if (!moment) throw new WalcastError('BAD_REQUEST', { detail: 'at is no moment' })
    return { ...this.#placeOf(place), moment, incarnation }
  }

  /** Throws NODE_ARCHIVE, STARTING or STOPPING. */
  #placeOf(number: number): { readonly place: string; readonly cluster: string } {
    const { cluster, node } = this.#parts.nodeFile.record
    const { backup = [] } = this.#parts.setup.options
    const place = backup[number - 1]
    if (place === undefined) {
      const detail =
        backup.length > 0 ? `its --backup has no place ${number}` : 'it archives nothing'
      throw new WalcastError('NODE_ARCHIVE', { node, detail })
    }
    if (cluster === '') throw new WalcastError('STARTING')
    if (this.#stopping.signal.aborted) throw new WalcastError('STOPPING')
    return { place, cluster }
  }

  #targetOf(name: string | undefined): PastPlan['target'] {
    const folder = this.#folder
    makeFolder(folder)
    return {
      folder,
      ...(name === undefined ? {} : { path: join(folder, name) }),
      replaces: name !== undefined && isTaken(folder, name),
      freeBytes: freeBytes(folder),
      reserveBytes: this.#parts.setup.options.drillReserve,
    }
  }

  /** Letters, digits, `.`, `_` and `-`: it goes into a header. */
  #downloadName(position: string): string {
    const base = basename(this.#parts.setup.options.db).replace(/\.[^.]*$/, '')
    const safe = `${base}-${position}`.replaceAll(/[^\w.-]+/g, '_').replace(/^[^\w]+/, '')
    return `${safe.slice(0, MAX_NAME_CHARS)}.db`
  }
}

const MAX_NAME_CHARS = 80

function placeText(place: number): string {
  return `place ${place} of --backup`
}
