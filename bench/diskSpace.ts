/** Whether what a suite is going to write has room. */
import { statfs } from 'node:fs/promises'

/** Of what is free at most so much is taken. */
const SHARE = 0.9

/** Throws, naming the cure, when `bytes` do not fit on the disk of `folder`. */
export async function requireDiskSpace(folder: string, bytes: number, cure: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bytes <= SHARE * bavail * bsize) return
  const gb = (count: number) => `${(count / 1e9).toFixed(1)} GB`
  throw new Error(
    `${gb(bytes)} are needed in ${folder} and ${gb(bavail * bsize)} are free: ${cure}`,
  )
}
