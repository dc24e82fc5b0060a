/** Which of two nodes that both take themselves for the leader gives way. */

export interface Claim {
  readonly node: string
  readonly epoch: number
}

/** The lower epoch gives way; with equal ones, which two promotions at the same moment make, the lower node id. Exactly one of two different nodes does. */
export function givesWay(mine: Claim, theirs: Claim): boolean {
  if (mine.epoch !== theirs.epoch) return mine.epoch < theirs.epoch
  return mine.node < theirs.node
}
