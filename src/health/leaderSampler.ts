/** Measures what `leaderCauses` explains. */
import type { Cause } from '../api/cause.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import type { CheckpointPass } from '../leader/checkpointer.ts'
import type { LeaderStatus } from '../leader/leaderOptions.ts'
import type { LongReaders } from '../sqlite/longReaders.ts'
import { LinkSampler, WalSampler } from './feedSampler.ts'
import { leaderCauses } from './leaderCauses.ts'
import { Streak } from './streak.ts'

/** A checkpoint of a leader has few frames: a healthy disk takes tens of milliseconds. */
const SLOW_PASS_MS = 500
const SLOW_PAUSE_MS = 200
/** A slow checkpoint explains nothing after this time. */
const PASS_VALID_MS = 30_000

export class LeaderSampler {
  readonly #wal: WalSampler
  readonly #links: LinkSampler
  readonly #stuck = new Streak()
  #slowPasses = 0
  #pass = { durationMs: 0, pauseMs: 0 }
  #passMs = 0

  constructor(list: ReplicaList, readers: LongReaders) {
    this.#wal = new WalSampler(readers)
    this.#links = new LinkSampler(list)
  }

  /** A checkpoint ended. Cheap. */
  onPass(pass: CheckpointPass, nowMs: number): void {
    const isSlow = pass.durationMs > SLOW_PASS_MS || pass.pauseMs > SLOW_PAUSE_MS
    this.#slowPasses = isSlow ? this.#slowPasses + 1 : 0
    this.#pass = pass
    this.#passMs = nowMs
    this.#wal.onCheckpoint(pass.complete)
  }

  /**
   * Beyond `usual` bytes it looks for readers that hold the WAL; beyond `most` the leader would
   * have stopped writers to empty it.
   */
  look(
    { walBytes, txid }: Pick<LeaderStatus, 'walBytes' | 'txid'>,
    { usual, most }: { readonly usual: number; readonly most: number },
    nowMs: number,
  ): Cause[] {
    const isRecent = nowMs - this.#passMs < PASS_VALID_MS
    const { durationMs: passMs, pauseMs } = this.#pass
    return leaderCauses({
      ...this.#wal.look(walBytes, usual, nowMs),
      ...this.#links.look(txid, nowMs),
      slowPasses: isRecent ? this.#slowPasses : 0,
      passMs,
      pauseMs,
      stuckMs: this.#stuck.look(this.#wal.isStuck && walBytes > most, nowMs),
    })
  }
}
