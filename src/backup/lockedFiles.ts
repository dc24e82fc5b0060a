/** What can be told of encrypted files that no identity opens. */
import { keyOf } from '../errors.ts'
import type { Archive } from './archive.ts'
import type { BadPieces } from './historyPositions.ts'
import { endOf, pieceName } from './restorePlan.ts'

export interface LockedFiles {
  /** Short ids of those for whom the newest of them is encrypted. */
  readonly recipients: readonly string[]
  /** When a node wrote the newest of them, ms since 1970 in its clock. */
  readonly writtenMs: number
}

/** Takes those that were met out of `bad`: they may be sound. Undefined when there are none. */
export async function lockedFilesIn(
  archive: Archive,
  bad: BadPieces,
): Promise<LockedFiles | undefined> {
  const locked = new Set<string>()
  for (const [name, error] of bad) if (keyOf(error) === 'ARCHIVE_LOCKED') locked.add(name)
  for (const name of locked) bad.delete(name)
  const own = archive.files
    .filter(({ name }) => locked.has(pieceName(name)))
    .toSorted((a, b) => endOf(a.name).txid - endOf(b.name).txid)
  const last = own[own.length - 1]
  if (!last) return undefined
  return archive.useEnvelope(last.name, async ({ header, recipients }) => ({
    recipients,
    writtenMs: header.createdMs,
  }))
}
