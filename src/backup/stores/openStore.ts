/** Opens a place of archives by its name. */
import type { FileOps } from '../../platform/fileOps.ts'
import { DirectoryStore } from './directoryStore.ts'
import type { Store } from './store.ts'

/** `place`: a folder. */
export async function openStore(place: string, ops: FileOps): Promise<Store> {
  return new DirectoryStore(place, ops)
}
