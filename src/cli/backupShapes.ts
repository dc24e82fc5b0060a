/** The parts of nodes' answers about backups that commands read. */
import { count, fields, flag, listOf, real, text } from './shape.ts'

export const ARCHIVE_PLACE = fields(
  { place: text, isArchiving: flag },
  {
    archivist: text,
    isAwaitingReplica: flag,
    restorableUntil: fields({ position: text, at: text }),
    behindMs: real,
    proven: fields({ position: text }),
    checked: fields({ position: text }),
    drillFailure: fields({ code: text, message: text }),
    lastError: fields({ code: text, message: text }),
  },
)

export const SNAPSHOTS = fields(
  { place: text },
  {
    last: fields({ name: text, position: text, at: text, bytes: count }),
    lastError: fields({ code: text, message: text }),
  },
)

/** `POST /_walcast/backup`. */
export const BACKED_UP = fields({
  node: text,
  position: text,
  places: listOf(
    fields({ place: text, position: text, bytes: count }, { at: text, snapshot: text }),
  ),
  tookMs: real,
})
