/**
 * Feeds replicas from a replica. It passes on what it receives once that is visible here, a huge
 * transaction piece by piece. It feeds the copy as it stands; positions, epochs and clocks are the
 * leader's.
 */
import type { WebSocket } from 'ws'
import { payloadPageNumber } from '../../proto/codec.ts'
import { type Containment, containment, type Lineage } from '../../proto/lineage.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import { DownstreamReports } from './downstreamReports.ts'
import type { ClaimedState } from './handshake.ts'
import { ReplicaFeed, type ReplicaFeedHost, type ReplicaFeedOptions } from './replicaFeed.ts'
import type { ReplicaStatus } from './replicaStatus.ts'
import type { SeenHistory } from './seenHistory.ts'
import { allocateKept } from './slab.ts'

/** The replica that feeds. */
export interface RelayHost {
  cluster(): string
  /** Undefined while the copy is not fit to be fed from. */
  feedable():
    | {
        readonly epoch: number
        readonly incarnation: string
        readonly txid: number
        readonly checksum: string
        readonly pages: number
        readonly isOpen: boolean
        readonly pageSize: number
        readonly source: CheckedPages
      }
    | undefined
  /** Permission bits of the leader's database file. */
  fileMode(): number
  /** The leader. */
  source(): { readonly node: string; readonly address: string }
  lineage(): Lineage
  term(): number
  members(): ReturnType<ReplicaFeedHost['members']>
  /**
   * A replica that wants to be fed here has been in a higher epoch: this node's leader may no
   * longer lead.
   */
  onHigherEpoch: ReplicaFeedHost['onHigherEpoch']
  /** The leader's clock. */
  leaderMs(): number
  /** Where the leader stood, and how long ago. */
  leaderAt(): { readonly txid: number; readonly staleMs: number }
  walBytes(): number
  /** Asks the leader where it stands. */
  ping(): void
  /**
   * Tells the leader what a replica has of the leader's history that this node does not know. False
   * when the leader cannot be told now.
   */
  reportSeen(seen: SeenHistory, leader: string): boolean
  /** Tells the leader of a replica that is fed here. */
  report(below: Omit<Body<'below'>, 'db'>): void
  onSent(bytes: number): void
  onBadMessage(key: string): void
}

/** Batches are kept for so long after the last replica went away. */
const UNUSED_MS = 60_000

export class Relay {
  readonly #options: ReplicaFeedOptions
  readonly #host: RelayHost
  readonly #feed: ReplicaFeed
  readonly #reports: DownstreamReports
  #timer: Timer | undefined
  /**
   * The position before the next batch; undefined until a replica is fed, and within a batch whose
   * beginning was not kept.
   */
  #from: { readonly txid: number; readonly checksum: string } | undefined
  /** The last message was not the end of its batch. */
  #isWithin = false
  #isUsed = false
  #lastUsedMs = 0
  /** The leader was asked where it stands, and has not answered yet. */
  #isAsking = false
  #stopped = false

  constructor(options: ReplicaFeedOptions, host: RelayHost) {
    this.#options = options
    this.#host = host
    this.#feed = new ReplicaFeed(options, {
      cluster: () => host.cluster(),
      fileMode: () => host.fileMode(),
      source: () => host.source(),
      leaderMs: () => host.leaderMs(),
      pageSize: () => this.#state().pageSize,
      position: () => this.#state(),
      pages: () => this.#state().source,
      heartbeat: () => this.#heartbeat(),
      lineage: () => host.lineage(),
      term: () => host.term(),
      members: () => host.members(),
      containment: (state) => this.#containment(state),
      onUnknownHistory: (seen, leader) => this.#onUnknownHistory(seen, leader),
      onHigherEpoch: (hello) => host.onHigherEpoch(hello),
      refuse: (position) => this.#refuse(position),
      onPing: () => this.#ping(),
      look() {},
      onRoom() {},
      onSent: (bytes) => host.onSent(bytes),
      onBadMessage: (key) => host.onBadMessage(key),
    })
    this.#reports = new DownstreamReports(options.node, options.clock, this.#feed, (below) =>
      host.report(below),
    )
  }

  get replicas(): readonly ReplicaStatus[] {
    return this.#feed.replicas()
  }

  get historyBytes(): number {
    return this.#feed.historyBytes
  }

  get bufferedBytes(): number {
    return this.#feed.bufferedBytes
  }

  /** Why no replica can be fed now. */
  refuse(): WalcastError | undefined {
    if (this.#stopped) return new WalcastError('STOPPING')
    return this.#host.feedable() ? undefined : new WalcastError('STARTING')
  }

  /** Throws STARTING or STOPPING when no replica can be fed now. */
  accept(socket: WebSocket, remoteAddress: string): void {
    const refused = this.refuse()
    if (refused) throw refused
    this.#begin()
    this.#feed.accept(socket, remoteAddress, undefined)
  }

  /** Keeps the bytes of `message` only while replicas are fed. */
  onBatch(batch: Body<'batch'>, payload: Buffer, message: Buffer): void {
    if (!this.#isUsed) return
    const pageNumbers = Array.from({ length: batch.pages }, (_, i) => payloadPageNumber(payload, i))
    const from = this.#from
    this.#isWithin = !batch.last
    if (batch.last) this.#from = { txid: batch.txid, checksum: batch.checksum }
    if (!from) return this.#feed.onChanged(pageNumbers)
    const kept = allocateKept(message.length)
    kept.set(message)
    this.#feed.publish({ from, txid: batch.txid, message: kept, last: batch.last, pageNumbers })
  }

  /**
   * The leader told where it stands: replicas that asked hear it at once, the others with the next
   * heartbeat.
   */
  onHeartbeat(): void {
    this.#isAsking = false
    if (this.#isUsed && this.#host.feedable()) this.#feed.answerPings()
  }

  /** A batch that was passed on in part begins anew with the next connection. */
  onDisconnected(): void {
    if (this.#isWithin) this.onUnsettled()
  }

  /** What follows may not follow from what was passed on. */
  onUnsettled(): void {
    if (!this.#isUsed) return
    this.#feed.restart(new WalcastError('STARTING'))
    this.#from = undefined
    this.#isWithin = false
    this.#isUsed = false
  }

  /**
   * The leader found that a process that is fed here, or below, has the id of one that came first.
   */
  onTwin(twin: Body<'twin'>): void {
    this.#feed.endTwin(twin)
  }

  announceStop(): void {
    this.#feed.announceStop()
  }

  tellMember(member: Parameters<ReplicaFeed['tellMember']>[0]): void {
    this.#feed.tellMember(member)
  }

  stop(): void {
    this.#stopped = true
    cancelTimer(this.#timer)
    this.#reports.stop()
    this.#feed.stop()
  }

  /** From the first replica on, batches are kept and the leader is told. */
  #begin(): void {
    this.#timer ??= setRepeatingTimer(() => this.#tick(), this.#options.heartbeatMs)
    this.#reports.start()
    if (this.#isUsed) return
    this.#isUsed = true
    this.#lastUsedMs = this.#options.clock.nowMs()
    const { txid, checksum, isOpen } = this.#state()
    this.#from = isOpen ? undefined : { txid, checksum }
  }

  #tick(): void {
    this.#isAsking = false
    if (!this.#isUsed || !this.#host.feedable()) return
    this.#feed.heartbeat()
    if (this.#feed.connected > 0) this.#lastUsedMs = this.#options.clock.nowMs()
    else if (this.#options.clock.nowMs() - this.#lastUsedMs > UNUSED_MS) this.onUnsettled()
  }

  /** Asks the leader once, however many replicas ask. */
  #ping(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    this.#host.ping()
  }

  #state() {
    const feedable = this.#host.feedable()
    if (!feedable) throw new WalcastError('STARTING')
    return feedable
  }

  #heartbeat(): Body<'heartbeat'> {
    const { txid, staleMs } = this.#host.leaderAt()
    const walBytes = this.#host.walBytes()
    const { epoch } = this.#state()
    return { db: this.#options.db, epoch, txid, walBytes, timeMs: this.#host.leaderMs(), staleMs }
  }

  #containment({ point, checksum }: ClaimedState): Containment {
    const mine = this.#state()
    if (checksum !== '' && checksum === mine.checksum && !mine.isOpen) return 'proven'
    return containment(mine, this.#host.lineage(), point)
  }

  /**
   * Only the leader can tell whether its state was put back: the replica is fed meanwhile, and
   * keeps what it has. While the leader cannot be told, the replica is not fed: the leader would
   * never hear what it had.
   */
  #onUnknownHistory(seen: SeenHistory, leader: string): boolean {
    if (leader !== this.#host.source().node || this.#host.reportSeen(seen, leader)) return false
    // A replica that is only ahead is told so.
    return this.#refuse(seen) === undefined
  }

  /** A replica that is ahead of this one must not be taken back. */
  #refuse({
    epoch,
    txid,
  }: {
    readonly epoch: number
    readonly txid: number
  }): WalcastError | undefined {
    const mine = this.#state()
    if (epoch === mine.epoch && txid > mine.txid)
      return new WalcastError('SOURCE_BEHIND', {
        mine: `${epoch}-${txid}`,
        theirs: `${epoch}-${mine.txid}`,
      })
    return undefined
  }
}
