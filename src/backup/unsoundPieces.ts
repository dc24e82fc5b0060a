/**
 * The files that this process has read and found bad. A look at the ends of a file does not see
 * damage between them: a merge does.
 */
import { asWalcastError } from '../errors.ts'
import { isOfContent } from './contentFailures.ts'
import { unsoundFile } from './renewal.ts'
import { pieceName } from './restorePlan.ts'

/** What is not noted is found again by the next merge that reads it. */
const MAX_NOTED = 10_000

interface Keyed {
  readonly key: string
  readonly isUnsound: boolean
}

export class UnsoundPieces {
  readonly #keys = new Set<string>()

  /**
   * Notes what `error` says of the pieces `keys` that were read: the one it names, and all of them
   * when it names none of these.
   */
  note(error: unknown, keys: readonly string[]): void {
    if (!isOfContent(error)) return
    const name = unsoundFile(asWalcastError(error))
    const named = name && pieceName(name)
    for (const key of named !== undefined && keys.includes(named) ? [named] : keys)
      if (this.#keys.size < MAX_NOTED) this.#keys.add(key)
  }

  /** The same pieces, with those marked that were noted. What is gone is forgotten. */
  mark<P extends Keyed>(pieces: readonly P[]): readonly P[] {
    const there = new Set(pieces.map(({ key }) => key))
    for (const key of this.#keys) if (!there.has(key)) this.#keys.delete(key)
    return pieces.map((piece) =>
      this.#keys.has(piece.key) ? { ...piece, isUnsound: true } : piece,
    )
  }
}
