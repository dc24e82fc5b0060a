/** What a leader is to those that it feeds: what follows from its options, beside what its engine tells. */
import type { FeedHost } from './feed.ts'
import type { LeaderOptions } from './leaderOptions.ts'
import type { LedHistory } from './ledHistory.ts'

/** What only the engine knows. */
export type FeedingEngine = Pick<
  FeedHost,
  'pageSize' | 'position' | 'pages' | 'heartbeat' | 'look' | 'onRoom'
>

export function feedHostOf(
  { identity, clock, observer, address }: LeaderOptions,
  history: LedHistory,
  engine: FeedingEngine,
): FeedHost {
  return {
    ...engine,
    cluster: () => identity.cluster,
    source: () => ({ node: identity.node, address }),
    leaderMs: () => clock.nowMs(),
    lineage: () => identity.lineage(),
    term: () => identity.term(),
    members: () => identity.members(),
    containment: (state) => history.containment(state),
    onUnknownHistory: (seen, leader) => {
      const isPutBack = history.lacks(seen, leader)
      if (isPutBack) observer.onPutBack(seen)
      return isPutBack
    },
    onHigherEpoch: (hello) => observer.onHigherEpoch(hello),
    refuse: () => undefined,
    onPing() {},
    onBadMessage: (key) => observer.onBadMessage(key),
    onSent: (bytes) => observer.onSent(bytes),
  }
}
