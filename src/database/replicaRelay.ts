/** The relay of a replica: it feeds further replicas with what this one receives. */
import { durationOf } from '../../proto/fields.ts'
import { formatTrail } from '../../proto/lineage.ts'
import { Relay } from '../feed/relay.ts'
import type { Replica } from '../replica/replica.ts'
import type { EngineParts } from './engine.ts'
import { feedLimits } from './feedLimits.ts'

export function newRelay(replica: Replica, parts: EngineParts): Relay {
  const { setup, nodeFile, clock, metrics, replicas } = parts
  const { options, log, version } = setup
  const { node } = nodeFile.record
  return new Relay(
    {
      db: parts.db,
      version,
      node,
      instance: parts.instance.id,
      clock,
      log,
      ...feedLimits(options),
      replicas,
      claims: parts.claims,
    },
    {
      cluster: () => nodeFile.record.cluster,
      feedable: () => replica.feedable,
      // The leader's mode: the operator of this copy may have chosen another for it.
      fileMode: () => nodeFile.record.leaderMode ?? 0o600,
      source: () => replica.source,
      lineage: () => nodeFile.record.lineage,
      term: () => nodeFile.record.term,
      members: () => parts.members.list(),
      onHigherEpoch: ({ node: from, epoch, term, advertise }) =>
        parts.onNews({
          type: 'higherEpochHeard',
          by: { node: from, epoch, term, address: advertise },
        }),
      leaderMs: () => clock.nowMs() + replica.lag.offset.offsetMs,
      leaderAt: () => ({
        txid: replica.lag.summary().leaderTxid,
        staleMs: durationOf(replica.lag.toldAgoMs),
      }),
      walBytes: () => replica.status.walBytes,
      ping: () => replica.ping(),
      reportSeen: ({ trail, ...seen }, leader) =>
        replica.reportSeen({ ...seen, history: formatTrail(trail), leader }),
      report: (below) => replica.reportBelow(below),
      ...metrics.feed(),
    },
  )
}
