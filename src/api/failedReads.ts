/** Reads that failed at a replica's application, as its status tells of them. */

/**
 * What became of a failed read. `answered`: the leader's application answered with another status.
 * `failed`: it failed as well. In all other cases the local answer was given: `away`, the leader
 * did not take the request; `limited`, there were too many; `large`, its body is too large to be
 * sent again.
 */
export const FAILED_READ_OUTCOMES = ['answered', 'failed', 'away', 'limited', 'large'] as const

export type FailedReadOutcome = (typeof FAILED_READ_OUTCOMES)[number]
export interface PathCount {
  readonly path: string
  readonly count: number
}

/** As the status tells it. */
export type FailedReadsReport = Readonly<Record<FailedReadOutcome, number>> & {
  /**
   * Paths of which the leader answered most reads, the most frequent first, without their queries.
   */
  readonly paths: readonly PathCount[]
}
