/** What a node answers of one place of its archive. */
import { formatPosition } from '../../proto/position.ts'
import type { PlaceError, PlaceReport, UpkeepReport } from '../api/backupStatus.ts'
import type { WalcastError } from '../errors.ts'
import type { PlaceStatus } from './placeArchive.ts'
import type { PlaceUpkeep } from './placeUpkeep.ts'

export function reportOf(
  { place, isArchiving, at, timeMs, behindSinceMs, error }: PlaceStatus,
  upkeep: Pick<PlaceUpkeep, 'status' | 'error'>,
  nowMs: number,
): PlaceReport {
  const behindMs = behindSinceMs === undefined ? 0 : Math.max(0, nowMs - behindSinceMs)
  const round = upkeepOf(upkeep)
  return {
    place,
    isArchiving,
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

function errorOf({ key, message }: WalcastError): PlaceError {
  return { code: key, message }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
