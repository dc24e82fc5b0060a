/** The archive files of a store. */
import { MAX_LEVEL, parseArchiveName } from '../../proto/archiveNames.ts'
import type { StoredFile } from './restorePlan.ts'
import type { Store } from './stores/store.ts'

const FOLDERS = [
  'snapshots',
  ...Array.from({ length: MAX_LEVEL + 1 }, (_, level) => `changes/${level}`),
]

/** All of them, in no order. What has another name is not told of. Throws what the store throws. */
export async function storedFiles(store: Store): Promise<StoredFile[]> {
  const listed = await Promise.all(FOLDERS.map((folder) => store.list(folder)))
  return listed.flat().flatMap(({ name, bytes }) => {
    const parsed = parseArchiveName(name)
    return parsed ? [{ name: parsed, bytes }] : []
  })
}
