/** Room on a disk. */
import { statfsSync } from './files.ts'

/** Bytes that this user may still write to the disk of `path`. Throws what statfs(2) does. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
}
