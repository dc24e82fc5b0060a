/** Why a leader's WAL grows or its replicas lag. Pure: from measurements to causes. */
import type { Cause } from '../api/cause.ts'
import { ageText, sizeText } from './causeText.ts'
import { type FeedMeasures, feedCauses, LASTING_MS } from './feedCauses.ts'

/** So many slow checkpoints in a row are more than a hiccup. */
const SLOW_PASSES = 3

export interface LeaderMeasures extends FeedMeasures {
  /** Slow checkpoints in a row up to now. */
  readonly slowPasses: number
  /** The last of them, ms. */
  readonly passMs: number
  readonly pauseMs: number
  /**
   * How long the WAL has been over its bound without a complete checkpoint and without a reader in
   * another process.
   */
  readonly stuckMs: number
}

export function leaderCauses(measured: LeaderMeasures): Cause[] {
  const causes = feedCauses(measured)
  const { slowPasses, stuckMs } = measured
  if (slowPasses >= SLOW_PASSES) causes.push(slowCheckpoints(measured))
  else if (stuckMs >= LASTING_MS) causes.push(stuckWal(measured))
  return causes
}

function slowCheckpoints({ passMs, pauseMs, walBytes }: LeaderMeasures): Cause {
  const paused = pauseMs > 0 ? `, writers were stopped for ${Math.round(pauseMs)} ms of it` : ''
  return {
    code: 'leader-disk',
    text:
      `checkpoints are slow: the last one took ${Math.round(passMs)} ms${paused}; ` +
      'the disk of the database is slow or busy, or the whole machine is',
    checkpointMs: Math.round(passMs),
    pauseMs: Math.round(pauseMs),
    walBytes,
  }
}

function stuckWal({ stuckMs, walBytes, passMs }: LeaderMeasures): Cause {
  return {
    code: 'leader-disk',
    text:
      `the WAL (${sizeText(walBytes)}) has been over its bound for ${ageText(stuckMs)}, and no ` +
      'other process reads: checkpoints do not keep up with the writers, or a connection of this ' +
      'process reads for long',
    checkpointMs: Math.round(passMs),
    walBytes,
    stuckSeconds: Math.floor(stuckMs / 1000),
  }
}
