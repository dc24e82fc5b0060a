/**
 * The connections of all replicas: accepted up to a limit, fed with each batch, waited for within a
 * huge transaction.
 */
import type { WebSocket } from 'ws'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import type { HistoryPlace } from './batchHistory.ts'
import { type IdHost, NodeIds } from './nodeIds.ts'
import type { ReplicaList } from './replicaList.ts'
import {
  ReplicaSession,
  type ReplicaSessionHost,
  type ReplicaSessionOptions,
} from './replicaSession.ts'
import type { ReplicaStatus } from './replicaStatus.ts'

/** What sessions need of the leader beyond what they settle among themselves. */
export interface ReplicaSessionsHost
  extends Omit<ReplicaSessionHost, 'holderOf' | 'onHello' | 'onAck' | 'onBelow' | 'onClosed'> {
  onConnected(session: ReplicaSession): void
  onDisconnected(session: ReplicaSession, error: unknown): void
  /** Two processes with one node id were found; the later one is told to end. */
  onTwins: IdHost['onTwins']
}

/** Hears of connections and of what they acknowledge. */
export type AckListener = Pick<Acknowledgements, 'onConnected' | 'onAck' | 'onClosed'>

export class ReplicaSessions {
  readonly #options: ReplicaSessionOptions
  readonly #limit: number
  readonly #all = new Set<ReplicaSession>()
  readonly #replicas: ReplicaList
  readonly #acks: AckListener | undefined
  readonly #ids: NodeIds

  /** `acks` hears acknowledgements, where requests may wait for them. */
  constructor(
    options: ReplicaSessionOptions,
    limit: number,
    replicas: ReplicaList,
    acks?: AckListener,
  ) {
    this.#options = options
    this.#limit = limit
    this.#replicas = replicas
    this.#acks = acks
    this.#ids = new NodeIds(replicas)
  }

  /** Replicas connected and remembered. */
  list(): ReplicaStatus[] {
    return this.#replicas.list()
  }

  /** Bytes handed to sockets and not yet taken by the network. */
  get bufferedBytes(): number {
    let bytes = 0
    for (const session of this.#all) bytes += session.bufferedBytes
    return bytes
  }

  /** Takes over an upgraded connection; `refusal` closes it at once. */
  accept(
    socket: WebSocket,
    remoteAddress: string,
    host: ReplicaSessionsHost,
    refusal: WalcastError | undefined,
  ): void {
    const session = new ReplicaSession(
      socket,
      remoteAddress,
      this.#sessionHost(host),
      this.#options,
    )
    this.#all.add(session)
    if (refusal) return session.fail(refusal)
    if (this.#all.size > this.#limit)
      session.fail(new WalcastError('TOO_MANY_REPLICAS', { limit: this.#limit }))
  }

  onCaptured(batch: Parameters<ReplicaSession['onCaptured']>[0]): void {
    for (const session of this.#all) session.onCaptured(batch)
  }

  heartbeat(body: Parameters<ReplicaSession['heartbeat']>[0]): void {
    for (const session of this.#all) session.heartbeat(body)
  }

  /** Replicas connected now. */
  get connected(): number {
    return this.#all.size
  }

  /** Sends a heartbeat to the replicas that asked for one. */
  answer(heartbeat: () => Parameters<ReplicaSession['heartbeat']>[0]): void {
    let body: Parameters<ReplicaSession['heartbeat']>[0] | undefined
    for (const session of this.#all) {
      if (!session.isWaiting) continue
      body ??= heartbeat()
      session.heartbeat(body)
    }
  }

  /**
   * Whether what lies before `place` may be dropped to go on within a transaction larger than
   * history. While no replica has everything that was read, the leader waits for the slowest one on
   * its way: otherwise what that was sent would be in vain. A replica that has everything waits for
   * no other.
   */
  mayDropBefore(place: HistoryPlace): boolean {
    let isWaitedFor = false
    for (const session of this.#all) {
      if (session.isLevel) return true
      isWaitedFor ||= session.isOnItsWayTo(place)
    }
    return !isWaitedFor
  }

  /** Whether a replica has all pages, and only the end of a huge transaction is missing. */
  get isCopyWaiting(): boolean {
    for (const session of this.#all) if (session.isCopyWaiting) return true
    return false
  }

  /** Sends a message to every replica that was welcomed. */
  tell(...message: Parameters<ReplicaSession['tell']>): void {
    for (const session of this.#all) session.tell(...message)
  }

  /** Ends a process that is fed here, or below, and has the id of one that came first. */
  endTwin(twin: Omit<Body<'twin'>, 'db'>, host: Pick<IdHost, 'db' | 'nowMs'>): void {
    this.#ids.end(twin, host)
  }

  /**
   * Tells every replica that the leader is about to stop, so that they send it no more requests.
   */
  announceStop(db: string): void {
    for (const session of this.#all) session.announceStop({ db, reason: 'stopping' })
  }

  /** Tells every replica that the leader stops, and closes. */
  stop(db: string): void {
    this.announceStop(db)
    this.failAll(new WalcastError('STOPPING'))
  }

  failAll(error: WalcastError): void {
    for (const session of this.#all) session.fail(error)
  }

  #sessionHost(host: ReplicaSessionsHost): ReplicaSessionHost {
    return {
      ...host,
      holderOf: (hello) => this.#ids.holderOf(hello, host),
      onHello: (session) => {
        this.#replicas.connected(session)
        this.#acks?.onConnected(session)
        host.onConnected(session)
      },
      onAck: (session) => {
        this.#replicas.seen(session)
        this.#acks?.onAck(session)
      },
      onBelow: (session, below) => {
        // Nodes that follow each other in a ring would list themselves.
        if (below.node !== host.node) this.#replicas.below(session, below)
        this.#ids.onBelow(session, below, host)
      },
      onClosed: (session, error) => {
        this.#all.delete(session)
        this.#replicas.disconnected(session)
        this.#acks?.onClosed(session)
        host.onDisconnected(session, error)
      },
    }
  }
}
