/** Failures because of what a file of an archive holds: reading it again gives the same. */
import { keyOf } from '../errors.ts'
import { type Finding, unsoundFile } from './renewal.ts'
import { pieceName } from './restorePlan.ts'

const OF_CONTENT: ReadonlySet<string | undefined> = new Set([
  ...['ARCHIVE_BROKEN', 'ARCHIVE_GAP', 'ARCHIVE_MISMATCH', 'ARCHIVE_NEWER'],
])
/** A newer walcast reads the file. */
const NOT_LASTING = 'ARCHIVE_NEWER'

export function isOfContent(error: unknown): boolean {
  return OF_CONTENT.has(keyOf(error))
}

/** The file of which `found` is to be noted in the place; undefined when it names none. */
export function lastingFile(found: Finding): string | undefined {
  const name = OF_CONTENT.has(found.key) && found.key !== NOT_LASTING && unsoundFile(found)
  return name ? pieceName(name) : undefined
}
