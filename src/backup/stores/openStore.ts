/** Opens the place of an archive as people write it: a folder, or `s3://BUCKET/PREFIX?...`. */
import { WalcastError } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { DirectoryStore } from './directoryStore.ts'
import type { Store } from './store.ts'

/** `s3:/bucket` and `gs://bucket` are mistakes, and no folders. */
const SCHEME = /^(?:[A-Za-z][A-Za-z0-9+.-]*:\/\/|s3:)/i

export function isFolder(place: string): boolean {
  return !place.startsWith('s3://')
}

/**
 * Asks a store nothing yet. `environment` has the keys of a store (docs/backup/s3.md). Throws
 * STORE_PLACE, STORE_KEYS or SECRET_SHARED.
 */
export async function openStore(
  place: string,
  ops: FileOps,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Store> {
  if (!isFolder(place)) {
    // Most nodes have no such archive.
    const { S3Store } = await import('./s3Store.ts')
    return new S3Store(place, environment)
  }
  if (place === '' || SCHEME.test(place))
    throw new WalcastError('STORE_PLACE', { detail: 'it is neither a folder nor s3://BUCKET/...' })
  return new DirectoryStore(place, ops)
}
