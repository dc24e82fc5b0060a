/**
 * Notes in the audit log when a place of the archive stands still and when it goes on, and when it
 * went on with a snapshot because a file was found broken. Drills note themselves.
 */
import type { AuditEntry } from '../api/audit.ts'
import type { BackupReport, PlaceReport } from '../api/backupStatus.ts'
import type { Archiver } from '../backup/archiver.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { type AuditParts, tellAudit } from './auditedChange.ts'

const LOOK_MS = 1000

export type ArchiveTurn = Pick<AuditEntry, 'outcome'> & { readonly detail: string }

export class ArchiveJournal {
  readonly #timer: Timer

  private constructor(look: () => void) {
    this.#timer = setRepeatingTimer(look, LOOK_MS).unref()
  }

  /** Undefined without --backup. */
  static of(
    parts: AuditParts & { readonly archiver: Archiver | undefined },
  ): ArchiveJournal | undefined {
    const { archiver } = parts
    if (!archiver) return undefined
    let before: BackupReport | undefined
    return new ArchiveJournal(() => {
      const now = archiver.report()
      for (const turn of archiveTurns(before, now))
        tellAudit(parts, { action: 'archive', by: 'schedule', ...turn })
      before = now
    })
  }

  stop(): void {
    cancelTimer(this.#timer)
  }
}

/** What is to be noted of each place. `before`: undefined for the first report of a process. */
export function archiveTurns(before: BackupReport | undefined, now: BackupReport): ArchiveTurn[] {
  return now.places.flatMap((place) => {
    const was = before?.places.find((each) => each.place === place.place)
    return [...stallOf(was, place), ...renewalOf(was, place)]
  })
}

function stallOf(
  was: PlaceReport | undefined,
  { place, isStalled, lastError }: PlaceReport,
): ArchiveTurn[] {
  if (isStalled === (was?.isStalled ?? false)) return []
  if (!isStalled) return [{ outcome: 'done', detail: `${place}: it stands still no longer` }]
  const why = lastError ? `: ${lastError.message}` : ''
  return [{ outcome: 'failed', detail: `${place}: it stands still${why}` }]
}

function renewalOf(was: PlaceReport | undefined, { place, renewed }: PlaceReport): ArchiveTurn[] {
  if (!renewed || renewed.at === was?.renewed?.at) return []
  const detail = `${place}: went on with a snapshot, because a file was broken: ${renewed.message}`
  return [{ outcome: 'failed', detail }]
}
