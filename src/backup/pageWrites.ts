/** Writes pages that wait, as few writes as their places allow. */
import type { PendingPages } from './pendingPages.ts'

/** Of one write. */
const MAX_WRITE_BYTES = 1024 * 1024

/** Pages that leave memory for the file. */
export interface PageBatch {
  readonly pending: PendingPages
  /** Those that are written. */
  readonly numbers: readonly number[]
}

/** `write` gets bytes, and where they belong in the file. */
export async function writePages(
  { pending, numbers }: PageBatch,
  pageSize: number,
  write: (bytes: Buffer, position: number) => Promise<void>,
): Promise<void> {
  for (const run of runsOf(pending, numbers, Math.floor(MAX_WRITE_BYTES / pageSize)))
    await write(pending.bytesOf(run), (run[0] - 1) * pageSize)
}

/** Pages that follow each other, in memory too, at most `most` together. */
function runsOf(pending: PendingPages, numbers: readonly number[], most: number): number[][] {
  const runs: number[][] = []
  for (const page of Uint32Array.from(numbers).sort()) {
    const run = runs[runs.length - 1]
    const goesOn = run && run.length < most && run[run.length - 1] === page - 1
    if (goesOn && pending.follows(page - 1, page)) run.push(page)
    else runs.push([page])
  }
  return runs
}
