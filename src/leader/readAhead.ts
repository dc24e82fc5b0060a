/**
 * Whether capture reads on within a transaction that is larger than history.
 *
 * What it reads pushes out of history what a slow replica has not been sent. So capture waits for
 * that replica: otherwise its stream is cut and it compares pages. Capture waits only while that
 * costs others nothing. It reads on to the end of the transaction
 *
 * - when others have committed more than a bound behind it: the WAL cannot be reset before they are
 *   captured,
 * - when a checkpoint of the application waits for the read guard: it holds the write lock, so all
 *   writers wait for it,
 * - when another replica's first copy or resync is complete but for the transaction's end.
 *
 * It reads, sends and drops nothing itself.
 */

import type { ReplicaFeed } from '../feed/replicaFeed.ts'
import type { Clock } from '../platform/clock.ts'
import { isCheckpointWaiting, locksOf } from '../sqlite/lockTable.ts'
import type { PinnedFile } from '../sqlite/pinnedFiles.ts'

/** Within a transaction that is handed on in chunks. */
export interface NextChunk {
  /** Txid of the last whole transaction. */
  readonly txid: number
  /** Size of the next message, at most. */
  readonly bytes: number
  /** Frames in the WAL that are published. */
  readonly publishedFrames: number
}

export interface ReadAheadHost {
  readonly clock: Clock
  /**
   * Whether so many bytes may be added to history without cutting off a replica that is on its way.
   */
  mayAdd(bytes: number): boolean
  /** Another replica has all but the end of the transaction. */
  isCopyWaiting(): boolean
  /**
   * Whether a checkpoint holds the write lock while it waits for readers. Costs a look at the table
   * of locks.
   */
  isCheckpointWaiting(): boolean
  /** What others may commit behind the transaction. */
  readonly maxFramesBehind: number
}

/**
 * A checkpoint that waits keeps all writers from committing: without so long a silence there is
 * none.
 */
const SILENCE_MS = 200
/** Between two looks at the table of locks. */
const LOOK_MS = 100

interface Held {
  readonly txid: number
  /** Frames published when the transaction was met: it ends among them. */
  readonly metFrames: number
  /** Frames published at the last look, and since when. */
  frames: number
  sinceMs: number
  lookedMs: number
  /** Waiting has ended for this transaction. */
  readsOn: boolean
}

export class ReadAhead {
  readonly #host: ReadAheadHost
  #held: Held | undefined

  constructor(host: ReadAheadHost) {
    this.#host = host
  }

  /** Whether the next chunk may be read now. */
  may(next: NextChunk): boolean {
    const held = this.#heldAt(next)
    if (held.readsOn || this.#host.mayAdd(next.bytes)) return true
    held.readsOn = this.#isPaidFor(held)
    return held.readsOn
  }

  #heldAt({ txid, publishedFrames: frames }: NextChunk): Held {
    const nowMs = this.#host.clock.nowMs()
    if (this.#held?.txid !== txid)
      this.#held = { txid, metFrames: frames, frames, sinceMs: nowMs, lookedMs: 0, readsOn: false }
    else if (frames !== this.#held.frames) Object.assign(this.#held, { frames, sinceMs: nowMs })
    return this.#held
  }

  /** Whether the wait costs others something. */
  #isPaidFor(held: Held): boolean {
    const { clock, maxFramesBehind } = this.#host
    if (held.frames - held.metFrames > maxFramesBehind || this.#host.isCopyWaiting()) return true
    const nowMs = clock.nowMs()
    if (nowMs - held.sinceMs < SILENCE_MS || nowMs - held.lookedMs < LOOK_MS) return false
    held.lookedMs = nowMs
    return this.#host.isCheckpointWaiting()
  }
}

/** For the replicas of `feed`, and the applications that share the wal-index `shm`. */
export function readAheadOf(
  feed: Pick<ReplicaFeed, 'mayReadAhead' | 'isCopyWaiting'>,
  shm: PinnedFile,
  clock: Clock,
  maxFramesBehind: number,
): ReadAhead {
  return new ReadAhead({
    clock,
    mayAdd: (bytes) => feed.mayReadAhead(bytes),
    isCopyWaiting: () => feed.isCopyWaiting,
    isCheckpointWaiting: () => isCheckpointWaiting(locksOf(shm)),
    maxFramesBehind,
  })
}
