/** Where the files of a place end. */
import { type ArchiveName, MAX_LEVEL, parseArchiveName } from '../../proto/archiveNames.ts'
import type { Store } from './stores/store.ts'

/** Names of the last parts of all files, the one with the highest txid first. */
export async function endsOf(store: Store): Promise<string[]> {
  const folders = ['snapshots', ...levels().map((level) => `changes/${level}`)]
  const ends: { readonly name: string; readonly txid: number }[] = []
  for (const folder of folders)
    for (const { name } of await store.list(folder)) {
      const parsed = parseArchiveName(name)
      if (parsed?.isLast) ends.push({ name, txid: txidOf(parsed) })
    }
  return ends.sort((a, b) => b.txid - a.txid).map(({ name }) => name)
}

function levels(): number[] {
  return Array.from({ length: MAX_LEVEL + 1 }, (_, level) => level)
}

function txidOf(name: ArchiveName): number {
  return name.kind === 'snapshot' ? name.txid : name.to.txid
}
