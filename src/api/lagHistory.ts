/** `GET /_walcast/lag/history`: the last hour and the last week of a node, as it measured them. */
import type { Stage } from '../replica/lag.ts'
import type { AuditEntry } from './audit.ts'
import type { CauseCode } from './cause.ts'
import type { NodeRole } from './roleAnswers.ts'

export const LAG_HISTORY_PATH = '/_walcast/lag/history'
/** The most points in one answer. */
export const MAX_LAG_POINTS = 500
export const MIN_LAG_POINTS = 2
/** How far back a node remembers, ms. */
export const LAG_HISTORY_MS = 7 * 24 * 60 * 60_000

export interface LagPercentiles {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
}

/**
 * A stretch of time. Where it covers several slots of the ring it has the worst of each percentile
 * and size, and the sums of what is counted. A stretch in which nothing was measured has no point.
 */
export interface LagPoint {
  /** ISO times of the node's clock. */
  readonly from: string
  readonly to: string
  /** How much of that the node measured. */
  readonly measuredSeconds: number
  /** The role at its end. */
  readonly role: NodeRole
  /** The most that this copy was behind; on a leader its slowest replica that was there. */
  readonly lagMs: number
  /** From commit to visible here; null where nothing was applied, as on a leader. */
  readonly percentiles: LagPercentiles | null
  readonly stages: Readonly<Record<Stage, LagPercentiles>> | null
  readonly transactionsPerSecond: number
  /** Bytes of batches captured or received. */
  readonly bytesPerSecond: number
  readonly walBytes: number
  /** Requests that had to wait for the leader, a handover or the application. */
  readonly heldWrites: number
  /** The most of them that waited at once. */
  readonly mostHeld: number
  /** Checkpoints that stopped writers, or the applying of a copy. */
  readonly pauses: number
  readonly pausedMs: number
  readonly longestPauseMs: number
  /** All that the node named in that time. */
  readonly causes: readonly CauseCode[]
}

export interface LagHistoryAnswer {
  readonly node: string
  /** ISO time of the node when it answered. */
  readonly at: string
  readonly from: string
  readonly to: string
  /** The longest stretch of one point. */
  readonly pointSeconds: number
  /** Oldest first, at most as many as were asked for. */
  readonly points: readonly LagPoint[]
  /** The newest entries of the audit log in that time, oldest first. */
  readonly events: readonly AuditEntry[]
}

/** Times in ms since 1970. */
export interface LagWindowAsked {
  readonly fromMs: number
  readonly toMs: number
  /** The most points, from MIN_LAG_POINTS to MAX_LAG_POINTS. */
  readonly points: number
}

/** What answers for the history of a node. */
export interface LagHistorySource {
  /** `asker`: whose share of the turns it takes. Throws LAG_HISTORY_BUSY. */
  answer(asked: LagWindowAsked, asker: string): Promise<LagHistoryAnswer>
}
