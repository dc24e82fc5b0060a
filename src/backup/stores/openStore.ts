/** Opens the place where an archive is kept, as people name it. */
import type { FileOps } from '../../platform/fileOps.ts'
import { DirectoryStore } from './directoryStore.ts'
import type { Store } from './store.ts'

/** `place`: the path of a folder. */
export async function openStore(place: string, ops: FileOps): Promise<Store> {
  return new DirectoryStore(place, ops)
}
