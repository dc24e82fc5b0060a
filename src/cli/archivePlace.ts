/** The archive that a command reads: where it is, and the identities that open it. */
import { NodeStore } from '../backup/stores/nodeStore.ts'
import { openStore } from '../backup/stores/openStore.ts'
import type { Store } from '../backup/stores/store.ts'
import { WalcastError } from '../errors.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { readIdentities } from '../security/backupKeyFiles.ts'
import type { BackupIdentity } from '../security/backupKeys.ts'
import { archiveNode } from './archiveNode.ts'
import { NodeArchive } from './nodeArchive.ts'

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

/**
 * Throws USAGE, STORE_PLACE, STORE_KEYS, IDENTITY_UNREADABLE or SECRET_SHARED, and for a node what
 * finding it and reading a token or the secret throws.
 */
export async function archivePlace(
  { flag, place, identity }: GivenArchive,
  ops: FileOps = systemFileOps,
): Promise<ArchivePlace> {
  if (place === undefined || place === '')
    throw new WalcastError('USAGE', { detail: `${flag} PLACE is missing` })
  const path = identity ?? process.env['WALCAST_IDENTITY'] ?? ''
  return { store: await storeOf(place, ops), identities: path === '' ? [] : readIdentities(path) }
}

async function storeOf(place: string, ops: FileOps): Promise<Store> {
  const asked = await archiveNode(place, process.env)
  if (!asked) return openStore(place, ops)
  const objects = new NodeArchive(asked.node, asked.place, process.env)
  return new NodeStore(place, objects)
}
