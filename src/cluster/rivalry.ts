/** Which of two nodes that both take themselves for the leader gives way. */

export interface Claim {
  readonly node: string
  readonly epoch: number
  /**
   * The last epoch that began with a promotion. A leader whose database was written while no node ran begins epochs by itself,
   * as often as that happens: those must not outrank a promotion that it has not heard of.
   */
  readonly term: number
}

/** Whether `mine` is from before `theirs`. */
export function isBehind(mine: Omit<Claim, 'node'>, theirs: Omit<Claim, 'node'>): boolean {
  return mine.term === theirs.term ? mine.epoch < theirs.epoch : mine.term < theirs.term
}

/**
 * The lower term gives way, then the lower epoch; with both equal, which two promotions at the same moment make, the lower node
 * id. Exactly one of two different nodes does.
 */
export function givesWay(mine: Claim, theirs: Claim): boolean {
  if (mine.term !== theirs.term || mine.epoch !== theirs.epoch) return isBehind(mine, theirs)
  return mine.node < theirs.node
}
