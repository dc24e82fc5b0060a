/**
 * A file of a place was found unsound, so that nothing after it can be restored before the next
 * snapshot: then a snapshot is due at once. It is not taken again for the same file, and not more
 * than once an hour: a disk that spoils everything is not helped by more writing.
 */
import { type ArchiveName, parseArchiveName } from '../../proto/archiveNames.ts'
import { endOf, pieceName, type StoredFile } from './restorePlan.ts'

/** What was found, as an error says it. */
export interface Finding {
  readonly key: string
  readonly message: string
}

export interface Renewed {
  /** ms since 1970. */
  readonly atMs: number
  readonly found: Finding
}

export const RENEW_EVERY_MS = 3_600_000
const MAX_KNOWN = 1000
/** Findings that a new snapshot helps against. */
const HELPED: ReadonlySet<string> = new Set([
  ...['ARCHIVE_BROKEN', 'ARCHIVE_GAP', 'ARCHIVE_MISMATCH', 'DRILL_MISMATCH'],
])
const NAME = /(?:snapshots|changes)\/[\w./-]+\.wca/

export class Renewal {
  #due: Finding | undefined
  #begunMs = Number.NEGATIVE_INFINITY
  readonly #known = new Set<string>()
  #last: Renewed | undefined

  /** The last snapshot that was taken for a finding. */
  get last(): Renewed | undefined {
    return this.#last
  }

  /** Gives whether it is new, and a snapshot may help. */
  want(found: Finding): boolean {
    if (!HELPED.has(found.key) || this.#known.has(found.message)) return false
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.add(found.message)
    this.#due = found
    return true
  }

  /** What makes a snapshot due now. `nowMs`: monotonic. */
  due(nowMs: number): Finding | undefined {
    return nowMs - this.#begunMs < RENEW_EVERY_MS ? undefined : this.#due
  }

  /** Nothing more is to be done about what was found. */
  settle(): false {
    this.#due = undefined
    return false
  }

  /** A snapshot was taken for `found`. `atMs`: since 1970; `nowMs`: monotonic. */
  done(found: Finding, atMs: number, nowMs: number): void {
    this.#last = { atMs, found }
    this.#begunMs = nowMs
    this.#due = undefined
  }
}

/** The file that an error names; undefined when it names none. */
export function unsoundFile({ message }: Finding): ArchiveName | undefined {
  const [name] = NAME.exec(message) ?? []
  return name === undefined ? undefined : parseArchiveName(name)
}

/** Whether a restore of what comes later does without the file: a snapshot follows it. */
export function isPassed(unsound: ArchiveName, files: readonly StoredFile[]): boolean {
  return files.some(
    ({ name }) =>
      name.kind === 'snapshot' &&
      name.txid >= endOf(unsound).txid &&
      pieceName(name) !== pieceName(unsound),
  )
}
