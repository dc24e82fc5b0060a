/** The archive that a command reads: where it is, and the identities that open it. */

import { openStore } from '../backup/stores/openStore.ts'
import type { Store } from '../backup/stores/store.ts'
import { WalcastError } from '../errors.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { readIdentities } from '../security/backupKeyFiles.ts'
import type { BackupIdentity } from '../security/backupKeys.ts'

export interface GivenArchive {
  /** The flag that names the place. */
  readonly flag: string
  readonly place: string | undefined
  /** Path of the file of identities, as it was given. */
  readonly identity: string | undefined
}

export interface ArchivePlace {
  readonly store: Store
  /** None when no file was named. */
  readonly identities: readonly BackupIdentity[]
}

/** `columns`: of the flags beside it. */
export function identityHelp(columns: number): string {
  const about = 'opens encrypted files: what backup-key made [WALCAST_IDENTITY]'
  return `  ${'--identity FILE'.padEnd(columns)}  ${about}`
}

/** Throws USAGE, STORE_PLACE, STORE_KEYS, IDENTITY_UNREADABLE or SECRET_SHARED. */
export async function archivePlace(
  { flag, place, identity }: GivenArchive,
  ops: FileOps = systemFileOps,
): Promise<ArchivePlace> {
  if (place === undefined || place === '')
    throw new WalcastError('USAGE', { detail: `${flag} PLACE is missing` })
  const path = identity ?? process.env['WALCAST_IDENTITY'] ?? ''
  return { store: await openStore(place, ops), identities: path === '' ? [] : readIdentities(path) }
}
