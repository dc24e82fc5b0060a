/**
 * What a check of all files leaves in the place: a note of each that is broken, so that the nodes
 * that archive there keep what goes round it, and take a new snapshot. The note of a file that was
 * read whole and is sound again goes.
 *
 * Whoever may write to the place itself leaves notes there. A node that is asked over the network
 * takes none: it writes down only what it has read itself.
 */
import type { CheckedFiles } from './archiveCheck.ts'
import { lastingFile } from './contentFailures.ts'
import { pieceName, piecesOf, type StoredFile } from './restorePlan.ts'
import {
  type BrokenFile,
  brokenNotes,
  forgetBroken,
  noteBroken,
  noteIdOf,
} from './retention/brokenNotes.ts'
import type { Store } from './stores/store.ts'

/** `nowMs`: since 1970. Throws what the store throws. */
export async function keepNotes(
  store: Store,
  files: readonly StoredFile[],
  { bad, sound }: Pick<CheckedFiles, 'bad' | 'sound'>,
  nowMs: number,
): Promise<void> {
  const foundMs = Math.round(nowMs)
  for (const { error } of bad) {
    const file = lastingFile(error)
    if (file !== undefined) await noteBroken(store, { file, code: error.key, foundMs, by: '' })
  }
  const whole = new Set(sound)
  const again = piecesOf(files)
    .filter((piece) => piece.files.every(({ name }) => whole.has(name)))
    .map(({ name }) => noteIdOf(pieceName(name)))
  await forgetBroken(store, again)
}

export interface NotedFile {
  readonly name: string
  /** Undefined when the note is damaged. */
  readonly about: BrokenFile | undefined
}

/** Files that are noted as broken, and still there. */
export async function notedFiles(store: Store, files: readonly StoredFile[]): Promise<NotedFile[]> {
  const notes = await brokenNotes(store)
  if (notes.length === 0) return []
  const names = new Map(files.map(({ name }) => [noteIdOf(pieceName(name)), pieceName(name)]))
  return notes.flatMap(({ id, about }) => {
    const name = names.get(id)
    return name === undefined ? [] : [{ name, about }]
  })
}
