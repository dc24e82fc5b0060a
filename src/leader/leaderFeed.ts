/** Puts the feed of a leader together, from its options, its history and its engine. */

import { ReplicaFeed, type ReplicaFeedHost } from '../feed/replicaFeed.ts'
import type { AckListener } from '../feed/replicaSessions.ts'
import { fileMode } from '../sqlite/fileModes.ts'
import type { LeaderOptions } from './leaderOptions.ts'
import type { LedHistory } from './ledHistory.ts'

/** What only the engine knows. */
export type FeedingEngine = Pick<
  ReplicaFeedHost,
  'pageSize' | 'position' | 'pages' | 'heartbeat' | 'look' | 'onRoom'
>

/** `acks` hears what replicas acknowledge. */
export function feedOf(
  options: LeaderOptions,
  history: LedHistory,
  engine: FeedingEngine,
  acks: AckListener,
): ReplicaFeed {
  const { node, instance } = options.identity
  return new ReplicaFeed({ ...options, node, instance, acks }, hostOf(options, history, engine))
}

function hostOf(
  { identity, clock, observer, address, path }: LeaderOptions,
  history: LedHistory,
  engine: FeedingEngine,
): ReplicaFeedHost {
  return {
    ...engine,
    cluster: () => identity.cluster,
    fileMode: () => fileMode(path),
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
