/**
 * Removes files of an archive so that no reader is surprised: the names are announced first, pins
 * are looked up after that, and what is pinned stays. A crash on the way leaves an announcement,
 * which makes readers take other ways where there are some.
 */
import { formatArchiveName } from '../../../proto/archiveNames.ts'
import type { StoredFile } from '../restorePlan.ts'
import type { Store } from '../stores/store.ts'
import { pinnedFiles } from './pins.ts'
import { announceRemoval, forgetOldRemovals } from './removals.ts'

/** Files that go in one round. */
export const MAX_REMOVED = 1000

/**
 * Removes `files` but for those that are pinned, at most `MAX_REMOVED` of them. Gives those that
 * went. Throws what the store throws; the rest goes the next time.
 */
export async function removeFiles(
  store: Store,
  files: readonly StoredFile[],
  nowMs: number,
  signal: AbortSignal,
): Promise<readonly StoredFile[]> {
  await forgetOldRemovals(store, nowMs)
  const pinnedBefore = await pinnedFiles(store, nowMs)
  const going = files
    .filter(({ name }) => !pinnedBefore.has(formatArchiveName(name)))
    .slice(0, MAX_REMOVED)
  if (going.length === 0) return []
  const names = going.map(({ name }) => formatArchiveName(name))
  const note = await announceRemoval(store, names, nowMs)
  const pinned = await pinnedFiles(store, nowMs)
  const gone: StoredFile[] = []
  for (const [i, file] of going.entries()) {
    if (signal.aborted) break
    if (pinned.has(names[i])) continue
    await store.remove(names[i])
    gone.push(file)
  }
  await store.remove(note)
  return gone
}
