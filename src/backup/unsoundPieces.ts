/**
 * The files that were read and found bad. A look at the ends of a file does not see damage between
 * them: a merge does, and so does a drill. A note in the place keeps each that an error names, for
 * the next process and for other nodes. The rest is known to this process alone.
 */
import type { ArchiveName } from '../../proto/archiveNames.ts'
import { asWalcastError, WalcastError } from '../errors.ts'
import { isOfContent, lastingFile, unsoundFile } from './contentFailures.ts'
import type { DatedPiece } from './datedPieces.ts'
import { endOf, pieceName } from './restorePlan.ts'
import {
  type BrokenFile,
  brokenIds,
  forgetBroken,
  noteBroken,
  noteIdOf,
} from './retention/brokenNotes.ts'
import type { Store } from './stores/store.ts'

/** What is not remembered is found again by the next merge that reads it. */
const MAX_KEYS = 10_000
/** Notes that were listed longer ago are listed again. */
const LIST_EVERY_MS = 600_000
/** The same before files are removed. */
const LIST_BEFORE_REMOVAL_MS = 60_000

type Keyed = Pick<DatedPiece, 'key' | 'isUnsound'>

export class UnsoundPieces {
  readonly #store: Store
  readonly #keys = new Set<string>()
  #ids: ReadonlySet<string> = new Set()
  #listedMs = Number.NEGATIVE_INFINITY
  #onlyNoted: ReadonlySet<string> = new Set()

  constructor(store: Store) {
    this.#store = store
  }

  /** Keys of the files that nothing but a note says to be bad, as last marked. */
  get onlyNoted(): ReadonlySet<string> {
    return this.#onlyNoted
  }

  /** Lists which files are noted, unless that was lately. `nowMs`: since 1970. */
  async look(nowMs: number, isRemoving: boolean): Promise<void> {
    const mostMs = isRemoving ? LIST_BEFORE_REMOVAL_MS : LIST_EVERY_MS
    if (Math.abs(nowMs - this.#listedMs) < mostMs) return
    this.#ids = await brokenIds(this.#store)
    this.#listedMs = nowMs
  }

  /**
   * Takes in what `error` says of the pieces `keys` that were read: the one it names, which gets a
   * note, and all of them when it names none of these. Throws what the store throws.
   */
  async find(error: unknown, keys: readonly string[], by: Omit<BrokenFile, 'file' | 'code'>) {
    if (!isOfContent(error)) return
    const found = asWalcastError(error)
    const name = unsoundFile(found)
    const named = name && pieceName(name)
    const isOne = named !== undefined && keys.includes(named)
    for (const key of isOne ? [named] : keys) if (this.#keys.size < MAX_KEYS) this.#keys.add(key)
    const file = lastingFile(found)
    if (!isOne || file === undefined || this.#ids.has(noteIdOf(file))) return
    if (!(await noteBroken(this.#store, { file, code: found.key, ...by }))) return
    this.#ids = new Set([...this.#ids, noteIdOf(file)])
    this.#keys.delete(file)
  }

  /** The same pieces, with those marked that are known to be bad. What is gone is forgotten. */
  mark<P extends Keyed>(pieces: readonly P[]): readonly P[] {
    const there = new Set(pieces.map(({ key }) => key))
    for (const key of this.#keys) if (!there.has(key)) this.#keys.delete(key)
    const onlyNoted = new Set<string>()
    const marked = pieces.map((piece) => {
      if (piece.isUnsound) return piece
      const isNoted = this.#isNoted(piece)
      if (this.#keys.has(piece.key)) return { ...piece, isUnsound: true }
      if (isNoted) onlyNoted.add(piece.key)
      return isNoted ? { ...piece, isUnsound: true } : piece
    })
    this.#onlyNoted = onlyNoted
    return marked
  }

  /**
   * Removes the notes of files that are gone. `names`: of all files, listed after the notes were.
   */
  async forgetGone(names: readonly ArchiveName[]): Promise<void> {
    if (this.#ids.size === 0) return
    const there = new Set(names.map((name) => noteIdOf(pieceName(name))))
    const gone = [...this.#ids].filter((id) => !there.has(id))
    await forgetBroken(this.#store, gone)
    this.#ids = new Set([...this.#ids].filter((id) => there.has(id)))
  }

  /** Noted files without a later snapshot from which a restore does without them. */
  unpassed(pieces: readonly DatedPiece[]): readonly WalcastError[] {
    const snapshots = pieces.filter(({ name, isUnsound }) => name.kind === 'snapshot' && !isUnsound)
    return pieces
      .filter((piece) => this.#isNoted(piece) && !snapshots.some((each) => isBehind(each, piece)))
      .map(({ key: name }) => {
        return new WalcastError('ARCHIVE_BROKEN', { name, detail: 'it was found broken before' })
      })
  }

  #isNoted({ key }: Keyed): boolean {
    return this.#ids.size > 0 && this.#ids.has(noteIdOf(key))
  }
}

/** A history that another one went on from is left behind: a snapshot of that one is later. */
function isBehind(snapshot: DatedPiece, broken: DatedPiece): boolean {
  const [later, end] = [endOf(snapshot.name), endOf(broken.name)]
  if (later.incarnation === end.incarnation) return later.txid >= end.txid
  return (snapshot.epoch ?? 0) > (broken.epoch ?? Number.POSITIVE_INFINITY)
}
