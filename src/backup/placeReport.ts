/** What a node answers of one place of its archive. */
import { formatPosition } from '../../proto/position.ts'
import type { PlaceReport } from '../api/backupStatus.ts'
import type { PlaceStatus } from './placeArchive.ts'

/** `alertMs`: a place that is behind by more stands still. */
export function reportOf(
  { place, isArchiving, at, timeMs, behindSinceMs, error }: PlaceStatus,
  nowMs: number,
  alertMs: number,
): PlaceReport {
  const behindMs = behindSinceMs === undefined ? 0 : Math.max(0, nowMs - behindSinceMs)
  return {
    place,
    isArchiving,
    isStalled: isArchiving && behindMs > alertMs,
    ...(at && timeMs !== undefined
      ? {
          restorableUntil: {
            position: formatPosition(at),
            incarnation: at.incarnation,
            at: new Date(timeMs).toISOString(),
          },
        }
      : {}),
    ...(at && isArchiving ? { behindMs: Math.round(behindMs) } : {}),
    ...(error ? { lastError: { code: error.key, message: error.message } } : {}),
  }
}
