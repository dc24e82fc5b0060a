/** Whether what a suite is going to write has room. */
import { statfs } from 'node:fs/promises'

/** The largest share of the free space that is used. */
const SHARE = 0.9

/** Throws when `bytes` do not fit on the disk of `folder`, and names the cure. */
export async function requireDiskSpace(folder: string, bytes: number, cure: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bytes <= SHARE * bavail * bsize) return
  const gb = (count: number) => `${(count / 1e9).toFixed(1)} GB`
  throw new Error(
    `${gb(bytes)} are needed in ${folder} and ${gb(bavail * bsize)} are free: ${cure}`,
  )
}
