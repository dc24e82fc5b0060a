/**
 * Drills of the places of an archive, on the node that archives: one at a time, when each is due.
 *
 *   waiting -> a drill -> proven, or checked, or failed -> waiting
 *                     \-> interrupted: the node stops. It counts as if it had never begun
 *
 * The last proof outlives the node. A drill writes only into a folder of its own.
 */
import type { Logger } from 'pino'
import { formatPosition } from '../../../proto/position.ts'
import { asWalcastError, keyOf, messageOf } from '../../errors.ts'
import {
  cancelTimer,
  monotonicMs,
  setRepeatingTimer,
  type Timer,
  wallMs,
} from '../../platform/time.ts'
import type { PlaceStatus } from '../placeStatus.ts'
import type { DrillAnswer, DrillOrder } from './drillOrder.ts'
import type { DrillFailure, DrillProof, DrillRecord, DrillRecords } from './drillRecords.ts'
import { dueMs, isOverdue, type NextTime, notAfter, type PlaceTimes } from './drillTimes.ts'

export type OwnOrder = Pick<DrillOrder, 'cluster' | 'folder' | 'check' | 'rate' | 'reserve'>

export interface DrillParts {
  readonly records: DrillRecords
  readonly next: NextTime
  readonly log: Logger
  places(): readonly PlaceStatus[]
  /** What is the same for each place. */
  order(): OwnOrder
  /** State checksum that the node itself has of a position; undefined when it knows none. */
  checksumOf(position: { readonly epoch: number; readonly txid: number }): string | undefined
  /** Rejects with STOPPING when the signal aborts. */
  run(order: DrillOrder, signal: AbortSignal): Promise<DrillAnswer>
  /** This node archives to a place for the first time. */
  onFirst(): void
  /** A drill has ended, and was not interrupted. */
  onEnd(place: string, end: DrillProof | DrillFailure): void
}

const LOOK_EVERY_MS = 1000

/** The newest position of a place that a drill can restore. */
interface Known {
  readonly at: NonNullable<PlaceStatus['at']>
  readonly timeMs: number
}

export class Drills {
  readonly #parts: DrillParts
  readonly #ending = new AbortController()
  readonly #timer: Timer
  /** Of the places to which this node archives. */
  readonly #known = new Map<string, Known>()
  readonly #times = new Map<string, PlaceTimes>()
  #running: Promise<void> | undefined
  #hasBegun = false

  constructor(parts: DrillParts) {
    this.#parts = parts
    this.#timer = setRepeatingTimer(() => this.#look(wallMs()), LOOK_EVERY_MS).unref()
  }

  recordOf(place: string): DrillRecord | undefined {
    return this.#parts.records.get(place)
  }

  /** Undefined before the place has an archive. */
  isOverdue(place: string, nowMs: number): boolean | undefined {
    const record = this.recordOf(place)
    return record && isOverdue(record.proof?.provenMs ?? record.sinceMs, nowMs, this.#parts.next)
  }

  /** Ends the drill that runs. Nothing of it is left then. */
  async stop(): Promise<void> {
    cancelTimer(this.#timer)
    this.#ending.abort()
    await this.#running
    await this.#parts.records.settled()
  }

  #look(nowMs: number): void {
    for (const status of this.#parts.places()) this.#notice(status, nowMs)
    if (this.#running) return
    const due = this.#earliest(nowMs)
    if (due === undefined) return
    this.#running = this.#drill(due).finally(() => {
      this.#running = undefined
    })
  }

  /** What a place had stays known while it cannot be written. */
  #notice({ place, isArchiving, at, timeMs }: PlaceStatus, nowMs: number): void {
    if (!isArchiving) {
      this.#known.delete(place)
      this.#times.delete(place)
      return
    }
    if (at && timeMs !== undefined) this.#known.set(place, { at, timeMs })
    if (!this.#known.has(place)) return
    if (!this.#hasBegun) this.#parts.onFirst()
    this.#hasBegun = true
    const record = this.recordOf(place)
    if (!record) void this.#keep(place, { sinceMs: nowMs })
    const lastMs = record?.lastMs
    const times = this.#times.get(place) ?? { startedMs: nowMs, lastMs }
    this.#times.set(place, notAfter(times, nowMs))
  }

  #earliest(nowMs: number): string | undefined {
    const due = [...this.#times]
      .map(([place, times]) => ({ place, atMs: dueMs(times, this.#parts.next) ?? Infinity }))
      .filter(({ atMs }) => atMs <= nowMs)
      .sort((a, b) => a.atMs - b.atMs)
    return due[0]?.place
  }

  /** Never rejects. */
  async #drill(place: string): Promise<void> {
    const known = this.#known.get(place)
    if (!known) return
    const end = await this.#endOf(place, known)
    if (!end) return
    const lastMs = wallMs()
    const { sinceMs, ...before } = this.recordOf(place) ?? { sinceMs: lastMs }
    const proof = 'kind' in end ? end : before.proof
    const failure = 'kind' in end ? undefined : end
    const { startedMs } = this.#times.get(place) ?? { startedMs: lastMs }
    if (this.#times.has(place)) this.#times.set(place, { startedMs, lastMs })
    const kept = this.#keep(place, { sinceMs, lastMs, proof, failure })
    this.#tell(place, end)
    this.#parts.onEnd(place, end)
    await kept
  }

  /** Undefined when it was interrupted. */
  async #endOf(
    place: string,
    { at, timeMs }: Known,
  ): Promise<DrillProof | DrillFailure | undefined> {
    const { incarnation, epoch, txid } = at
    const beganMs = monotonicMs()
    try {
      const checksum = this.#parts.checksumOf(at)
      const order = {
        ...this.#parts.order(),
        place,
        target: { incarnation, epoch, txid },
        checksum,
      }
      const answer = await this.#parts.run(order, this.#ending.signal)
      if (answer.kind === 'failed') return { ...failureOf(answer), failedMs: wallMs() }
      const tookMs = Math.round(monotonicMs() - beganMs)
      const position = formatPosition(at)
      const about = { position, incarnation, untilMs: timeMs, provenMs: wallMs(), tookMs }
      return { ...about, kind: answer.kind, bytes: answer.bytes }
    } catch (error) {
      if (keyOf(error) === 'STOPPING') return undefined
      const { key: code, message } = asWalcastError(error)
      return { code, message, failedMs: wallMs() }
    }
  }

  async #keep(place: string, record: DrillRecord): Promise<void> {
    try {
      await this.#parts.records.set(place, record)
    } catch (error) {
      const about = { place, error: messageOf(error) }
      this.#parts.log.warn(
        about,
        'cannot write down what is known of drills; the next drill tries again',
      )
    }
  }

  #tell(place: string, end: DrillProof | DrillFailure): void {
    const { log } = this.#parts
    if (!('kind' in end)) {
      const { code, message } = end
      log.error({ place, code, error: message }, 'the archive failed its drill; see its error')
      return
    }
    const { kind, position, tookMs, bytes } = end
    const what = kind === 'proven' ? 'the archive is proven' : 'the files of the archive are sound'
    log.info({ place, position, tookMs, bytes }, `${what} up to ${position}`)
  }
}

function failureOf({ code, message }: Extract<DrillAnswer, { kind: 'failed' }>) {
  return { code, message }
}
