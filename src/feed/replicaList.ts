/** The replicas of a node: connected, fed by others, and away. */
import { EventEmitter } from 'node:events'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { ReplicaSession } from './replicaSession.ts'
import { type Peer, peerOf, type ReplicaStatus, statusOf } from './replicaStatus.ts'
import { ReplicasBelow } from './replicasBelow.ts'

/** The connection to a replica that is fed here, and what it takes. */
export interface Link {
  readonly node: string
  /** Where the replica said that it stands; 0 before its first copy. */
  readonly txid: number
  /** Handed to its socket and not yet taken by the network. */
  readonly bufferedBytes: number
  /** Taken by the network since the connection began. */
  readonly takenBytes: number
  /** Since anything came from it. */
  readonly silentMs: number
  readonly lagMs: number
}

/**
 * A node that should follow this one by now: where it stood and when it was heard of, if that is
 * known.
 */
export interface ExpectedReplica {
  readonly node: string
  readonly address: string
  readonly position?: { readonly epoch: number; readonly txid: number } | undefined
  readonly seenMs?: number | undefined
}

/** Emitted on the hot path: listeners are cheap and never throw. */
export interface ReplicaListEvents {
  /** A replica came, went away or was forgotten. */
  changed: []
}

/** The list remembers at most so many replicas that are away. */
export const MAX_REMEMBERED = 256

/** The replicas that this node has met, the ones that went away included, by node id. */
export class ReplicaList extends EventEmitter<ReplicaListEvents> {
  readonly #clock: Clock
  /** Id of the node that has the list. */
  readonly #own: string
  /** Id of the leader that this node follows, directly or not; '' when it leads or knows none. */
  #leader = ''
  readonly #sessions = new Map<string, ReplicaSession>()
  /** The one that went away first comes first. */
  readonly #gone = new Map<string, { readonly peer: Peer; readonly sinceMs: number }>()
  readonly #below = new ReplicasBelow()
  readonly #onMet: (node: string, address: string) => void

  /**
   * `own` is this node's id. `peers` are those remembered from an earlier run; the last heard of
   * are kept. `onMet` hears of each replica that connects, here or to another replica; `address` is
   * where other nodes reach it, '' when it has not said.
   */
  constructor(
    clock: Clock,
    own: string,
    peers: readonly Peer[] = [],
    onMet: (node: string, address: string) => void = () => {},
  ) {
    super()
    this.#onMet = onMet
    this.#clock = clock
    this.#own = own
    const others = peers.filter(({ node }) => node !== own)
    const known = others.map((peer) => ({ peer, sinceMs: Date.parse(peer.lastSeen) }))
    known.sort((a, b) => a.sinceMs - b.sinceMs)
    for (const each of known.slice(-MAX_REMEMBERED)) this.#gone.set(each.peer.node, each)
  }

  connected(session: ReplicaSession): void {
    const older = this.#sessions.get(session.node)
    if (older && older !== session) older.terminate()
    if (session.node === this.#leader) this.#leader = ''
    this.#sessions.set(session.node, session)
    this.#gone.delete(session.node)
    this.#onMet(session.node, session.advertise)
    this.emit('changed')
  }

  /**
   * The address of the connected replica `node`, when it is another process than `instance`, has
   * been up for longer and was heard of within `silentMs`. The connection of a process that has
   * crashed or lost its network is not held against the next one.
   */
  holderOf(
    {
      node,
      instance,
      upMs,
    }: { readonly node: string; readonly instance: string; readonly upMs: number },
    silentMs: number,
  ): string | undefined {
    const nowMs = this.#clock.nowMs()
    const session = this.#sessions.get(node)
    if (!session || session.state === 'closed' || session.instance === instance) return undefined
    if (nowMs - session.lastSeenMs > silentMs || nowMs - upMs < session.upSinceMs) return undefined
    return session.advertise || session.remoteAddress
  }

  /** The connection to a replica that is fed here. */
  sessionOf(node: string): ReplicaSession | undefined {
    return this.#sessions.get(node)
  }

  /**
   * The process of a connected replica, wherever it is fed: its random id and how long it has been
   * up, ms. '' and 0 for a replica that is away.
   */
  processOf(node: string): { readonly instance: string; readonly upMs: number } {
    const nowMs = this.#clock.nowMs()
    const session = this.#sessions.get(node)
    if (session) return { instance: session.instance, upMs: nowMs - session.upSinceMs }
    const below = this.#gone.has(node) ? undefined : this.#below.processOf(node, nowMs)
    return below ?? { instance: '', upMs: 0 }
  }

  /** A message came; where it stands is read from the session. */
  seen(session: ReplicaSession): void {
    if (!this.#sessions.has(session.node)) this.connected(session)
  }

  /**
   * A replica tells of one that it feeds, directly or through others. The newest word counts:
   * replicas move.
   */
  below(session: ReplicaSession, told: Body<'below'>): void {
    // The replica that tells may not have heard yet which node leads.
    if (told.node === this.#own || told.node === this.#leader) return
    const nowMs = this.#clock.nowMs()
    if (!told.connected && !this.#isNewsOfAway(session, told, nowMs)) return
    const wasConnected = this.#below.wasConnected(told.node)
    if (!this.#below.take(session, told, nowMs)) return
    this.#gone.delete(told.node)
    if (told.connected) this.#onMet(told.node, told.address)
    if (wasConnected !== told.connected) this.emit('changed')
  }

  /**
   * Whether word that a replica is away counts: this node knows the replica, so has not forgotten
   * it, and did not see it elsewhere since.
   */
  #isNewsOfAway(session: ReplicaSession, told: Body<'below'>, nowMs: number): boolean {
    const gone = this.#gone.get(told.node)
    if (gone) return gone.sinceMs < nowMs - told.silentMs
    return this.#below.isNewsOfAway(told.node, session, nowMs)
  }

  disconnected(session: ReplicaSession): void {
    this.#below.disconnected(session)
    if (this.#sessions.get(session.node) !== session) return
    this.#sessions.delete(session.node)
    if (session.node !== this.#leader) this.#miss(session)
    this.emit('changed')
  }

  #miss(session: ReplicaSession): void {
    const { node, lastSeenMs } = session
    this.#gone.set(node, {
      peer: peerOf(statusOf(session, lastSeenMs), lastSeenMs),
      sinceMs: lastSeenMs,
    })
    for (const each of this.#gone.keys()) {
      if (this.#gone.size <= MAX_REMEMBERED) break
      this.#gone.delete(each)
    }
  }

  /** This node leads by now. It expects `nodes`, and lists them as away until they come. */
  expect(nodes: readonly ExpectedReplica[]): void {
    this.#leader = ''
    const nowMs = this.#clock.nowMs()
    for (const { node, address, position, seenMs: sinceMs = nowMs } of nodes) {
      const isListed = this.#sessions.has(node) || this.#gone.has(node) || this.#below.has(node)
      if (node === this.#own || isListed) continue
      const { epoch, txid } = position ?? { epoch: null, txid: null }
      const lastSeen = new Date(sinceMs).toISOString()
      this.#gone.set(node, { peer: { node, address, epoch, txid, lagMs: 0, lastSeen }, sinceMs })
    }
    this.emit('changed')
  }

  /** This node follows the leader `node`, which is no replica from now on. */
  follows(node: string): void {
    if (node === this.#leader) return
    this.#leader = node
    const wasGone = this.#gone.delete(node)
    if (this.#below.delete(node) || wasGone) this.emit('changed')
  }

  /**
   * This node is no longer the leader; the new leader tracks these replicas. Connections that are
   * being closed are not listed as away.
   */
  clear(): void {
    this.#sessions.clear()
    this.#gone.clear()
    this.#below.clear()
    this.emit('changed')
  }

  /**
   * Takes a replica that is away off the list, until it connects again. Throws REPLICA_UNKNOWN or
   * REPLICA_CONNECTED.
   */
  forget(node: string): void {
    if (this.#isConnected(node)) throw new WalcastError('REPLICA_CONNECTED', { node })
    const wasGone = this.#gone.delete(node)
    if (!this.#below.delete(node) && !wasGone) throw new WalcastError('REPLICA_UNKNOWN', { node })
    this.emit('changed')
  }

  /**
   * Takes removed nodes that are away off the list. One that is still connected stays: call again
   * at the next `changed`.
   */
  forgetRemoved(isRemoved: (node: string) => boolean): void {
    for (;;) {
      const away = this.list().find(({ node }) => isRemoved(node) && !this.#isConnected(node))
      if (!away) return
      this.forget(away.node)
    }
  }

  #isConnected(node: string): boolean {
    return this.#sessions.has(node) || this.#below.isConnected(node, this.#clock.nowMs())
  }

  /** Connected replicas come first. The lag of one that is away grows with the clock. */
  list(): ReplicaStatus[] {
    const nowMs = this.#clock.nowMs()
    const connected = [...this.#sessions.values()].map((session) => statusOf(session, nowMs))
    const gone = [...this.#gone.values()].map(({ peer, sinceMs }) => ({
      ...peer,
      connected: false,
      state: 'away',
      lagMs: Math.round(peer.lagMs + Math.max(0, nowMs - sinceMs)),
    }))
    return [...connected, ...gone, ...this.#listBelow(nowMs)]
  }

  /** All listed replicas, as they are remembered: those last heard of, when there are too many. */
  peers(): Peer[] {
    const nowMs = this.#clock.nowMs()
    const all = this.list().map((status) => peerOf(status, nowMs))
    // ISO times sort as texts.
    return all.sort((a, b) => (a.lastSeen < b.lastSeen ? -1 : 1)).slice(-MAX_REMEMBERED)
  }

  /** When a connected replica was last heard of, by the clock; 0 when none is connected. */
  get lastHeardMs(): number {
    return Math.max(0, ...[...this.#sessions.values()].map(({ lastSeenMs }) => lastSeenMs))
  }

  /** Ids of the replicas that this node feeds itself, or did and has not forgotten. */
  *direct(): Generator<string> {
    yield* this.#sessions.keys()
    for (const [node, { peer }] of this.#gone) if (peer.via === undefined) yield node
  }

  /** Connections to the replicas that are fed here. */
  links(): Link[] {
    const nowMs = this.#clock.nowMs()
    return [...this.#sessions.values()].map((session) => {
      const { node, txid, bufferedBytes, takenBytes } = session
      return {
        node,
        txid,
        bufferedBytes,
        takenBytes,
        silentMs: nowMs - session.lastSeenMs,
        lagMs: statusOf(session, nowMs).lagMs,
      }
    })
  }

  /** Leaves out replicas that this node knows from their own connection. */
  #listBelow(nowMs: number): ReplicaStatus[] {
    return this.#below
      .list(nowMs)
      .filter(({ node }) => !this.#sessions.has(node) && !this.#gone.has(node))
  }
}
