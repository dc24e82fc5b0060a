/** What hears of the batches of a database, whatever role its node has. */
import type { ArchiveSource } from './archiveSource.ts'
import type { ArchivedBatch } from './batchChain.ts'

export interface BatchFollower {
  /** From now on this engine's batches come. */
  attach(source: ArchiveSource): void
  /** The engine ends. */
  detach(): void
  /** Each message of a batch, in order; it must not change afterwards. */
  onBatch(batch: ArchivedBatch): void
  /** A batch that was begun is not gone on with. */
  onRestart(): void
}

/** One for all of them; undefined when there are none. */
export function followerOf(
  parts: readonly (BatchFollower | undefined)[],
): BatchFollower | undefined {
  const followers = parts.flatMap((part) => part ?? [])
  if (followers.length < 2) return followers[0]
  const each = (tell: (follower: BatchFollower) => void) => () => followers.forEach(tell)
  return {
    attach: (source) => each((follower) => follower.attach(source))(),
    detach: each((follower) => follower.detach()),
    onBatch: (batch) => each((follower) => follower.onBatch(batch))(),
    onRestart: each((follower) => follower.onRestart()),
  }
}
