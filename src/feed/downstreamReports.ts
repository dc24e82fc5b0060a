/**
 * Tells the leader, once a second, of the replicas that a relay feeds: the relay's own and those
 * further down. Replicas that are away are told of less often.
 */
import { durationOf } from '../../proto/fields.ts'
import type { Body } from '../../proto/messages.ts'
import type { Clock } from '../platform/clock.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import type { ReplicaFeed } from './replicaFeed.ts'

const REPORT_MS = 1000
/** One report out of so many also tells of the replicas that are away. */
const AWAY_REPORTS = 10

export class DownstreamReports {
  readonly #node: string
  readonly #clock: Clock
  readonly #feed: Pick<ReplicaFeed, 'replicas' | 'processOf'>
  readonly #report: (below: Omit<Body<'below'>, 'db'>) => void
  /** Ids of the replicas that the leader was last told to be connected. */
  readonly #connected = new Set<string>()
  #timer: Timer | undefined
  #reports = 0

  /** `node`: the id of the relay. */
  constructor(
    node: string,
    clock: Clock,
    feed: Pick<ReplicaFeed, 'replicas' | 'processOf'>,
    report: (below: Omit<Body<'below'>, 'db'>) => void,
  ) {
    this.#node = node
    this.#clock = clock
    this.#feed = feed
    this.#report = report
  }

  start(): void {
    this.#timer ??= setRepeatingTimer(() => this.#tell(), REPORT_MS)
  }

  stop(): void {
    cancelTimer(this.#timer)
  }

  #tell(): void {
    const nowMs = this.#clock.nowMs()
    const tellsAll = this.#reports++ % AWAY_REPORTS === 0
    for (const status of this.#feed.replicas()) {
      const { node, address, epoch, txid, connected } = status
      // The leader itself knows which replicas have never told a position.
      if (epoch === null || txid === null) continue
      // A replica that has just gone away is told of at once.
      if (!connected && !tellsAll && !this.#connected.has(node)) continue
      if (connected) this.#connected.add(node)
      else this.#connected.delete(node)
      const { instance, upMs } = this.#feed.processOf(node)
      this.#report({
        node,
        via: status.via ?? this.#node,
        address,
        instance,
        upMs: durationOf(upMs),
        epoch,
        txid,
        lagMs: durationOf(status.lagMs),
        connected,
        silentMs: durationOf(nowMs - Date.parse(status.lastSeen)),
      })
    }
  }
}
