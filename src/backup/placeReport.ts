/** What a node answers of one place of its archive. */
import { formatPosition } from '../../proto/position.ts'
import type { PlaceError, PlaceReport, UpkeepReport } from '../api/backupStatus.ts'
import type { Finding } from './contentFailures.ts'
import { behindOf, type PlaceStatus } from './placeStatus.ts'
import type { PlaceUpkeep } from './placeUpkeep.ts'

/** `alertMs`: a place that is behind by more stands still. */
export function reportOf(
  status: PlaceStatus,
  upkeep: Pick<PlaceUpkeep, 'status' | 'error'>,
  leaderMs: number,
  alertMs: number,
): PlaceReport {
  const { place, isArchiving, at, timeMs, writing, renewed, error } = status
  const behindMs = isArchiving ? behindOf(status, leaderMs) : undefined
  const round = upkeepOf(upkeep)
  return {
    place,
    isArchiving,
    isStalled: (behindMs ?? 0) > alertMs,
    ...(at && timeMs !== undefined
      ? {
          restorableUntil: {
            position: formatPosition(at),
            incarnation: at.incarnation,
            at: new Date(timeMs).toISOString(),
          },
        }
      : {}),
    ...(behindMs === undefined ? {} : { behindMs }),
    ...(writing ? { snapshotWriting: writing } : {}),
    ...(renewed ? { renewed: { at: iso(renewed.atMs), ...errorOf(renewed.found) } } : {}),
    ...(error ? { lastError: errorOf(error) } : {}),
    ...(round ? { upkeep: round } : {}),
  }
}

function upkeepOf({
  status,
  error,
}: Pick<PlaceUpkeep, 'status' | 'error'>): UpkeepReport | undefined {
  if (!status) return undefined
  const { endedMs, report } = status
  const { files, bytes, restorable, refused, overBytes } = report
  return {
    at: iso(endedMs),
    files,
    bytes,
    restorable: restorable.map(({ grain, fromMs, toMs }) => ({
      grain,
      from: iso(fromMs),
      to: iso(toMs),
    })),
    ...(refused === undefined ? {} : { refused }),
    ...(overBytes > 0 ? { overBytes } : {}),
    ...(error ? { lastError: errorOf(error) } : {}),
  }
}

function errorOf({ key, message }: Finding): PlaceError {
  return { code: key, message }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
