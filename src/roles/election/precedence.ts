/**
 * Which of two nodes that both take themselves for the leader gives way, and what follows from the
 * answers of all.
 */
import type { PeerAnswer } from '../../cluster/peerAnswer.ts'

export interface Claim {
  readonly node: string
  readonly epoch: number
  /**
   * The last epoch that began with a promotion. A leader whose database was written while no node
   * ran begins epochs by itself, as often as that happens: those must not outrank a promotion that
   * it has not heard of.
   */
  readonly term: number
}

/** Whether `mine` is from before `theirs`. */
export function isBehind(mine: Omit<Claim, 'node'>, theirs: Omit<Claim, 'node'>): boolean {
  return mine.term === theirs.term ? mine.epoch < theirs.epoch : mine.term < theirs.term
}

/**
 * The lower term gives way, then the lower epoch; with both equal, which two promotions at the same
 * moment make, the lower node id. Exactly one of two different nodes does.
 */
export function givesWay(mine: Claim, theirs: Claim): boolean {
  if (mine.term !== theirs.term || mine.epoch !== theirs.epoch) return isBehind(mine, theirs)
  return mine.node < theirs.node
}

/** Who leads in the place of the node with this claim, or has followed somebody who did. */
export function rivalAmong(answers: readonly PeerAnswer[], mine: Claim): PeerAnswer | undefined {
  const leaders = answers
    .filter(({ role }) => role === 'leader')
    .sort((a, b) => (isBehind(a, b) ? 1 : -1))
  return (
    leaders.find((each) => givesWay(mine, each)) ?? answers.find((each) => isBehind(mine, each))
  )
}

/** Whom a node with this claim, which has no leader, is to follow. */
export function leaderAmong(answers: readonly PeerAnswer[], mine: Claim): PeerAnswer | undefined {
  const leaders = answers.filter(
    (each) => each.role === 'leader' && each.ready && !isBehind(each, mine),
  )
  return leaders.sort((a, b) => (givesWay(a, b) ? 1 : -1))[0]
}

/** Where the leader is that an answer speaks of: who gave it, or whom that one follows. */
export function leaderFor({ role, asked, address }: PeerAnswer): string | undefined {
  return role === 'leader' ? asked : address || undefined
}
