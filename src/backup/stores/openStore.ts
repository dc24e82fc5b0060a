/** A place as a person gives it becomes the store that is there. */
import type { FileOps } from '../../platform/fileOps.ts'
import { DirectoryStore } from './directoryStore.ts'
import type { Store } from './store.ts'

/** `place`: the path of a folder. */
export async function openStore(place: string, ops: FileOps): Promise<Store> {
  return new DirectoryStore(place, ops)
}
