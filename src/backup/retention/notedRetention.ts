/**
 * Retention where notes say that files are broken. A note may be forged, old or damaged, and must
 * not make anything go. So everything is chosen with the notes and without them: only what goes
 * both ways goes, and the archive may be larger than a size says.
 */
import type { DatedPiece } from '../datedPieces.ts'
import { type RetainInput, type Retention, retain } from './retain.ts'

/** `onlyNoted`: keys of the files that nothing but a note says to be bad. Pure. */
export function retainNoted(input: RetainInput, onlyNoted: ReadonlySet<string>): Retention {
  const noted = retain(input)
  if (onlyNoted.size === 0) return noted
  const pieces = input.pieces.map((piece) =>
    onlyNoted.has(piece.key) ? { ...piece, isUnsound: false } : piece,
  )
  const plain = retain({ ...input, pieces })
  const gone = keysOf(plain.remove)
  const thinned = keysOf([...plain.remove, ...plain.thin.flatMap((run) => run.pieces)])
  const remove = noted.remove.filter(({ key }) => gone.has(key))
  const going = new Set(remove)
  const kept = input.pieces.filter((piece) => !going.has(piece))
  const bytes = kept.reduce((sum, piece) => sum + piece.bytes, 0)
  return {
    ...noted,
    ...{ remove, kept },
    thin: noted.thin.filter((run) => run.pieces.every(({ key }) => thinned.has(key))),
    overBytes: Math.max(0, bytes - (input.policy?.maxBytes ?? Number.POSITIVE_INFINITY)),
  }
}

function keysOf(pieces: readonly DatedPiece[]): ReadonlySet<string> {
  return new Set(pieces.map(({ key }) => key))
}
