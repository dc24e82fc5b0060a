/**
 * Feeds replicas, on a leader and on a replica that has replicas of its own: recent batches, the
 * sessions they go to, and page images.
 */
import type { Logger } from 'pino'
import type { WebSocket } from 'ws'
import type { Body } from '../../proto/messages.ts'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Claims } from '../security/claims.ts'
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import type { CapturedBatch } from './batch.ts'
import { BatchHistory } from './batchHistory.ts'
import { PageServer } from './pageServer.ts'
import type { ReplicaList } from './replicaList.ts'
import type { ReplicaSession, ReplicaSessionHost, ReplicaSessionOptions } from './replicaSession.ts'
import { type AckListener, ReplicaSessions } from './replicaSessions.ts'
import type { ReplicaStatus } from './replicaStatus.ts'

export interface ReplicaFeedOptions {
  /** Name of the database in messages. */
  readonly db: string
  readonly version: string
  readonly node: string
  /** Random id of this process. */
  readonly instance: string
  readonly session: ReplicaSessionOptions
  readonly historyBytes: number
  readonly maxReplicas: number
  readonly heartbeatMs: number
  /** Where the replicas are listed. */
  readonly replicas: ReplicaList
  /** Judges the numbers that replicas tell. */
  readonly claims: Claims
  /** Hears what replicas acknowledge, where requests may wait for that. */
  readonly acks?: AckListener
  readonly clock: Clock
  readonly log: Logger
}

/** What of a batch the feed needs. */
export type FedBatch = Pick<CapturedBatch, 'from' | 'txid' | 'message' | 'last' | 'pageNumbers'>

/** The node that feeds. */
export interface ReplicaFeedHost
  extends Pick<
    ReplicaSessionHost,
    | 'cluster'
    | 'fileMode'
    | 'source'
    | 'position'
    | 'heartbeat'
    | 'lineage'
    | 'term'
    | 'members'
    | 'containment'
    | 'onUnknownHistory'
    | 'onHigherEpoch'
    | 'refuse'
    | 'leaderMs'
    | 'onPing'
  > {
  pageSize(): number
  /** Pages at the position; while that `isOpen` they are ahead of it. */
  pages(): CheckedPages
  /** Captures new commits. */
  look(): void
  /** A replica went away, or has taken something. */
  onRoom(): void
  onSent(bytes: number): void
  onBadMessage(key: string): void
}

export class ReplicaFeed {
  readonly #options: ReplicaFeedOptions
  readonly #host: ReplicaFeedHost
  readonly #history: BatchHistory
  readonly #sessions: ReplicaSessions

  constructor(options: ReplicaFeedOptions, host: ReplicaFeedHost) {
    this.#options = options
    this.#host = host
    this.#history = new BatchHistory(options.historyBytes)
    this.#sessions = new ReplicaSessions(
      options.session,
      options.maxReplicas,
      options.replicas,
      options.acks,
    )
  }

  get historyBytes(): number {
    return this.#history.bytes
  }

  /** Bytes handed to replicas' sockets and not yet taken by the network. */
  get bufferedBytes(): number {
    return this.#sessions.bufferedBytes
  }

  /** Replicas connected and remembered, and those that they feed. */
  replicas(): ReplicaStatus[] {
    return this.#sessions.list()
  }

  /**
   * Whether a further message of a huge transaction, of so many bytes at most, may be added now.
   */
  mayReadAhead(bytes: number): boolean {
    const place = this.#history.placeAfterAdding(bytes)
    return place === undefined || this.#sessions.mayDropBefore(place)
  }

  /** Whether a replica has all pages, and only the end of a huge transaction is missing. */
  get isCopyWaiting(): boolean {
    return this.#sessions.isCopyWaiting
  }

  /** Takes over an upgraded connection; `refusal` closes it at once. */
  accept(socket: WebSocket, remoteAddress: string, refusal: WalcastError | undefined): void {
    this.#sessions.accept(socket, remoteAddress, this.#sessionHost(), refusal)
  }

  /** Keeps a batch that was published before any replica was there. */
  remember(batch: Omit<FedBatch, 'pageNumbers'>): void {
    this.#history.add(batch.from, batch.txid, batch.message, batch.last)
  }

  publish(batch: FedBatch): void {
    this.remember(batch)
    this.#sessions.onCaptured(batch)
  }

  /** Takes the pages of a batch that is not passed on: replicas that compare need them again. */
  onChanged(pageNumbers: readonly number[]): void {
    this.#sessions.onCaptured({ pageNumbers })
  }

  /** Messages of the batches after a position; undefined unless all of them are kept. */
  batchesAfter(at: { readonly txid: number; readonly checksum: string }): Buffer[] | undefined {
    return this.#history.messagesAfter(at.txid, at.checksum)
  }

  heartbeat(): void {
    this.#sessions.heartbeat(this.#host.heartbeat())
  }

  get connected(): number {
    return this.#sessions.connected
  }

  /** Something new is known of the leader: only replicas that asked hear it. */
  answerPings(): void {
    this.#sessions.answer(() => this.#host.heartbeat())
  }

  /** Replicas send no more requests; commits still reach them. */
  announceStop(): void {
    this.#sessions.announceStop(this.#options.db)
  }

  stop(): void {
    this.#sessions.stop(this.#options.db)
  }

  /** A node of the cluster came, moved or was forgotten. */
  tellMember(member: Omit<Body<'member'>, 'db'>): void {
    this.#sessions.tell('member', { db: this.#options.db, ...member })
  }

  /** Ends a process that is fed here, or below, and has the id of one that came first. */
  endTwin(twin: Omit<Body<'twin'>, 'db'>): void {
    const { db, clock } = this.#options
    this.#sessions.endTwin(twin, { db, nowMs: () => clock.nowMs() })
  }

  /** The process of a connected replica, wherever it is fed. */
  processOf(node: string): ReturnType<ReplicaList['processOf']> {
    return this.#options.replicas.processOf(node)
  }

  /** Another node leads: sends the replicas there, and stops. */
  moveTo(leader: Omit<Body<'moved'>, 'db'> | undefined): void {
    const { db, node } = this.#options
    if (leader) this.#sessions.tell('moved', { db, ...leader })
    this.#sessions.failAll(new WalcastError('NOT_LEADER', { address: node, role: 'replica' }))
  }

  /**
   * Forgets the batches; nothing after them follows from them. Replicas come back, and say where
   * they stand.
   */
  restart(reason: WalcastError): void {
    this.#sessions.failAll(reason)
    this.#history.clear()
  }

  #sessionHost(): Parameters<ReplicaSessions['accept']>[2] {
    const { db, node, instance, version, heartbeatMs, clock, log, claims } = this.#options
    const host = this.#host
    const { epoch } = host.position()
    return {
      db,
      node,
      instance,
      version,
      epoch,
      pageSize: host.pageSize(),
      heartbeatMs,
      claims,
      history: this.#history,
      cluster: () => host.cluster(),
      fileMode: () => host.fileMode(),
      source: () => host.source(),
      nowMs: () => clock.nowMs(),
      leaderMs: () => host.leaderMs(),
      position: () => host.position(),
      heartbeat: () => host.heartbeat(),
      containment: (state) => host.containment(state),
      onUnknownHistory: (seen, leader) => host.onUnknownHistory(seen, leader),
      lineage: () => host.lineage(),
      term: () => host.term(),
      members: () => host.members(),
      onHigherEpoch: (hello) => host.onHigherEpoch(hello),
      refuse: (hello) => host.refuse(hello),
      onPing: () => host.onPing(),
      newPageServer: (session) => this.#newPageServer(session),
      onConnected: ({ node: replica, remoteAddress: address, txid }) =>
        log.info({ replica, address, txid }, 'replica connected'),
      onDisconnected: ({ node: replica }, error) => {
        if (replica)
          log.info({ replica, reason: error ? messageOf(error) : 'closed' }, 'replica disconnected')
        host.onRoom()
      },
      onTwins: ({ first, later }) =>
        log.error(
          { replica: first.node, address: later.address, first: first.address },
          'two processes use the id of this replica; ending the later one; ' +
            'give a copied node an id of its own with walcast new-identity',
        ),
      onTaken: () => host.onRoom(),
      onBadMessage: (error) => host.onBadMessage(keyOf(error) ?? 'INTERNAL'),
      onSent: (bytes) => host.onSent(bytes),
    }
  }

  #newPageServer(session: ReplicaSession): PageServer {
    const host = this.#host
    return new PageServer({
      db: this.#options.db,
      ...host.pages(),
      position: () => host.position(),
      isConnected: () => session.state === 'syncing',
      look: () => host.look(),
      send: (message, onTaken) => session.sendAndDrain(message, onTaken),
      finish: (message) => session.finishSync(message),
    })
  }
}
