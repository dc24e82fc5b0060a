/** Restores from a place as a program does that has nothing but its files. */
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import { type Restored, restore } from '../../src/backup/restore.ts'
import { planRestore } from '../../src/backup/restorePlan.ts'
import { storedFiles } from '../../src/backup/storedFiles.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import type { BackupIdentity } from '../../src/security/backupKeys.ts'

/** `place`: a folder. Throws what a restore throws, and an Error when no files lead there. */
export async function restoreFrom(
  place: string,
  target: { readonly incarnation: string; readonly txid: number },
  path: string,
  identities?: readonly BackupIdentity[],
): Promise<Restored> {
  const store = new DirectoryStore(place, systemFileOps)
  const plan = planRestore(await storedFiles(store), target)
  if (!plan) throw new Error(`no files lead to txid ${target.txid} of ${target.incarnation}`)
  const opens = [...plan.snapshot, ...plan.changes].map(({ name, upTo }) => async () => {
    const source = await store.open(formatArchiveName(name))
    return (await ArchiveFile.open(source, identities)).upTo(upTo ?? Infinity)
  })
  return restore(path, opens, target, systemFileOps)
}
