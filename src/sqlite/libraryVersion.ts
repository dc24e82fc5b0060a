import { WalcastError } from '../errors.ts'

/**
 * Throws SQLITE_TOO_OLD for a library whose checkpointer can publish a stale nBackfill when a
 * writer resets the WAL under it: 3.7.0 to 3.51.2, mended also in 3.50.7 and 3.44.6
 * (https://sqlite.org/wal.html#the_wal_reset_bug).
 */
export function requireSafeLibrary(version: string): void {
  const [major, minor, patch] = version.split('.').map(Number)
  const number = major * 1_000_000 + minor * 1000 + patch
  const mendedBranch = (minor === 50 && patch >= 7) || (minor === 44 && patch >= 6)
  if (number >= 3_051_003 || (major === 3 && mendedBranch)) return
  throw new WalcastError('SQLITE_TOO_OLD', { version })
}
