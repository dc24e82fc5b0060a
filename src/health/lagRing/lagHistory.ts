/**
 * What a node remembers of its lag: the last hour in slots of ten seconds, the last week in slots
 * of a minute, each in a ring of its own. It looks once a second at what others measure anyway.
 */
import type { AuditSource } from '../../api/audit.ts'
import { MAX_AUDIT_ENTRIES } from '../../api/audit.ts'
import {
  LAG_HISTORY_MS,
  type LagHistoryAnswer,
  type LagHistorySource,
  type LagPoint,
  type LagWindowAsked,
} from '../../api/lagHistory.ts'
import { WalcastError } from '../../errors.ts'
import { FairTurns } from '../../platform/fairTurns.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../../platform/time.ts'
import { lagPoints, type PointSlot, pointOf, stretchMs } from './lagPoints.ts'
import { RingFile, type RingFileParts } from './ringFile.ts'
import { type LagSample, type MeasuredSlot, SlotMeasure } from './slotMeasure.ts'
import type { SlotPercentiles } from './slotPercentiles.ts'

export interface LagHistoryParts extends Omit<RingFileParts, 'path' | 'slotMs' | 'slots'> {
  /** The node's. */
  readonly folder: string
  readonly audit: AuditSource
  /** Reading of the node's clock. */
  nowMs(): number
  /** What the node is now. Throws while it starts. */
  sample(): Promise<LagSample>
  /** Of the last minute. */
  percentiles(): SlotPercentiles
}

const LOOK_MS = 1000
const HOUR_MS = 60 * 60_000
const FINE_MS = 10_000
const COARSE_MS = 60_000
/** A question for the last hour may be under way for so long. */
const LATE_MS = 2 * COARSE_MS
/** A process that starts and ends often has more slots than time. */
const SPARE_SLOTS = 40
/** At the end of a process a slot shorter than this part of one is not worth its place. */
const LEAST_PARTS = 6
/** Questions that read the rings, and those that wait for that. */
const QUESTIONS = { atOnce: 2, maxWaiting: 32, atOnceEach: 1, maxWaitingEach: 16 }

/** One ring, and the slot of it that is being measured. */
class Track {
  readonly file: RingFile
  readonly measure: SlotMeasure

  constructor({ folder, ...parts }: LagHistoryParts, name: string, slotMs: number, spanMs: number) {
    const slots = spanMs / slotMs + SPARE_SLOTS
    this.file = new RingFile({ ...parts, path: `${folder}/${name}.ring`, slotMs, slots })
    this.measure = new SlotMeasure(slotMs)
  }
}

export class LagHistory implements LagHistorySource {
  readonly #parts: LagHistoryParts
  readonly #fine: Track
  readonly #coarse: Track
  readonly #turns = new FairTurns(QUESTIONS)
  #lastFine: MeasuredSlot | undefined
  #timer: Timer | undefined
  #look: Promise<void> | undefined
  #hasStopped = false

  constructor(parts: LagHistoryParts) {
    this.#parts = parts
    this.#fine = new Track(parts, 'lag-hour', FINE_MS, HOUR_MS)
    this.#coarse = new Track(parts, 'lag-week', COARSE_MS, LAG_HISTORY_MS)
  }

  start(): void {
    this.#timer = setRepeatingTimer(() => {
      this.#look ??= this.#lookOnce().finally(() => {
        this.#look = undefined
      })
    }, LOOK_MS).unref()
  }

  /** Writes what was measured since the last slot. */
  async stop(): Promise<void> {
    this.#hasStopped = true
    cancelTimer(this.#timer)
    await this.#look
    const percentiles = () => this.#parts.percentiles()
    for (const { file, measure } of [this.#fine, this.#coarse]) {
      const slot = measure.running(percentiles)
      if (slot && slot.toMs - slot.fromMs >= file.slotMs / LEAST_PARTS) await file.append(slot)
      await file.close()
    }
  }

  /** The last whole point of ten seconds, and the one that is being measured. */
  newest(): LagPoint[] {
    const running = this.#fine.measure.running(() => this.#parts.percentiles())
    return [this.#lastFine, running].flatMap((slot) => (slot ? [pointOf([slot])] : []))
  }

  async answer(asked: LagWindowAsked, asker: string): Promise<LagHistoryAnswer> {
    const leave = await this.#turns.take(asker)
    if (!leave)
      throw new WalcastError('LAG_HISTORY_BUSY', {
        limit: QUESTIONS.maxWaiting,
        each: QUESTIONS.maxWaitingEach,
      })
    try {
      return await this.#answer(asked)
    } finally {
      leave()
    }
  }

  async #answer(asked: LagWindowAsked): Promise<LagHistoryAnswer> {
    const { nowMs, owner, audit } = this.#parts
    const atMs = nowMs()
    const toMs = Math.min(asked.toMs, atMs)
    const fromMs = Math.min(Math.max(asked.fromMs, atMs - LAG_HISTORY_MS), toMs)
    const isRecent = fromMs >= atMs - HOUR_MS - LATE_MS
    const slots = isRecent
      ? await this.#fine.file.read(fromMs, toMs)
      : await this.#coarseSlots(fromMs, toMs)
    const slotMs = isRecent ? FINE_MS : COARSE_MS
    const lengthMs = stretchMs({ ...asked, fromMs, toMs }, slotMs)
    const isWithin = (at: string) => Date.parse(at) > fromMs && Date.parse(at) <= toMs
    return {
      node: owner().node,
      at: new Date(atMs).toISOString(),
      from: new Date(fromMs).toISOString(),
      to: new Date(toMs).toISOString(),
      pointSeconds: lengthMs / 1000,
      points: lagPoints(slots, lengthMs),
      events: audit.recent(MAX_AUDIT_ENTRIES).filter(({ at }) => isWithin(at)),
    }
  }

  /** Those of ten seconds follow, where the minute is not over. */
  async #coarseSlots(fromMs: number, toMs: number): Promise<readonly PointSlot[]> {
    const coarse = await this.#coarse.file.read(fromMs, toMs)
    const endMs = coarse.at(-1)?.toMs ?? fromMs
    const fine = await this.#fine.file.read(Math.max(endMs, toMs - 2 * COARSE_MS), toMs)
    return [...coarse, ...fine.filter((slot) => slot.fromMs >= endMs)]
  }

  async #lookOnce(): Promise<void> {
    const sample = await this.#parts.sample().catch(() => undefined)
    if (!sample || this.#hasStopped) return
    const percentiles = () => this.#parts.percentiles()
    const fine = this.#fine.measure.add(sample, percentiles)
    if (fine) {
      this.#lastFine = fine
      void this.#fine.file.append(fine)
    }
    const coarse = this.#coarse.measure.add(sample, percentiles)
    if (coarse) void this.#coarse.file.append(coarse)
  }
}
