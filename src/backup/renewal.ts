/**
 * A file of a place was found unsound, so that nothing after it can be restored before the next
 * snapshot: then a snapshot is due at once. It is not taken again for the same file, and not more
 * than once an hour: a disk that spoils everything is not helped by more writing.
 */
import type { ArchiveName } from '../../proto/archiveNames.ts'
import { type Finding, isHelpedBySnapshot } from './contentFailures.ts'
import { endOf, pieceName, piecesOf, type StoredFile } from './restorePlan.ts'

export interface Renewed {
  /** ms since 1970. */
  readonly atMs: number
  readonly found: Finding
}

export const RENEW_EVERY_MS = 3_600_000
/** A snapshot that failed is not tried again before. */
const RETRY_MS = 300_000
const MAX_KNOWN = 1000

export class Renewal {
  /** By their messages; at most `MAX_KNOWN`. */
  readonly #due = new Map<string, Finding>()
  readonly #known = new Set<string>()
  #notBeforeMs = Number.NEGATIVE_INFINITY
  #begun: Finding | undefined
  #last: Renewed | undefined

  /** The last snapshot that was taken for a finding. */
  get last(): Renewed | undefined {
    return this.#last
  }

  /** Gives whether it is new, and a snapshot may help. */
  want(found: Finding): boolean {
    if (!isHelpedBySnapshot(found.key) || this.#known.has(found.message)) return false
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    if (this.#due.size >= MAX_KNOWN) this.#due.clear()
    this.#known.add(found.message)
    this.#due.set(found.message, found)
    return true
  }

  /** What makes a snapshot due now. `nowMs`: monotonic. */
  due(nowMs: number): Finding | undefined {
    const [first] = this.#due.values()
    return nowMs < this.#notBeforeMs ? undefined : first
  }

  /** Nothing is to be done about this one. */
  settle(found: Finding): false {
    this.#due.delete(found.message)
    return false
  }

  /** A snapshot is taken for `found`. */
  begin(found: Finding, nowMs: number): void {
    this.#begun = found
    this.#notBeforeMs = nowMs + RETRY_MS
  }

  /** A snapshot is in the place. `atMs`: since 1970; `nowMs`: monotonic. */
  onSnapshot(atMs: number, nowMs: number): void {
    const found = this.#begun
    if (!found) return
    this.#begun = undefined
    this.#last = { atMs, found }
    this.#due.clear()
    this.#notBeforeMs = nowMs + RENEW_EVERY_MS
  }
}

/** Whether a restore of what comes later does without the file: a snapshot follows it. */
export function isPassed(unsound: ArchiveName, files: readonly StoredFile[]): boolean {
  const { incarnation, txid } = endOf(unsound)
  return piecesOf(files).some(
    ({ name }) =>
      name.kind === 'snapshot' &&
      name.incarnation === incarnation &&
      name.txid >= txid &&
      pieceName(name) !== pieceName(unsound),
  )
}
