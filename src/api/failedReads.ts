/** Reads that failed at a replica's application, as the status tells them. */

/**
 * What became of a failed read. `answered`: the leader's application answered with another status.
 * `failed`: it failed as well. In the other cases the client got the local answer: `away`, the
 * leader did not take the request; `limited`, too many reads failed; `large`, the body is too large
 * to be sent again.
 */
export const FAILED_READ_OUTCOMES = ['answered', 'failed', 'away', 'limited', 'large'] as const

export type FailedReadOutcome = (typeof FAILED_READ_OUTCOMES)[number]
export interface PathCount {
  readonly path: string
  readonly count: number
}

/** How many reads had each outcome. */
export type FailedReadsReport = Readonly<Record<FailedReadOutcome, number>> & {
  /**
   * The paths, without queries, of which the leader answered most reads; the most frequent first.
   */
  readonly paths: readonly PathCount[]
}
