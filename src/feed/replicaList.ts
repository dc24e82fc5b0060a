import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { ReplicaSession } from './replicaSession.ts'

export interface ReplicaStatus {
  readonly node: string
  readonly address: string
  /** Where it stands or last stood: both are null of one that has never told. */
  readonly epoch: number | null
  readonly txid: number | null
  readonly lagMs: number
  readonly connected: boolean
  /**
   * ISO time of its last message; of one that has never told anything here, since when it is
   * missed.
   */
  readonly lastSeen: string
  readonly state: string
  /** The replica that feeds it, when it is not this node itself. */
  readonly via?: string
}

/** A replica as it was when it was last heard of. */
export type Peer = Omit<ReplicaStatus, 'connected' | 'state'>

/** What the connection to a replica that is fed here takes. */
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
 * A node that is to follow this one by now. Where it stood, and when it was heard of, as far as
 * that is known.
 */
export interface ExpectedReplica {
  readonly node: string
  readonly address: string
  readonly position?: { readonly epoch: number; readonly txid: number } | undefined
  readonly seenMs?: number | undefined
}

interface Below {
  /** The session that told of it, as long as it is there. */
  readonly session: ReplicaSession | undefined
  readonly told: Body<'below'>
  readonly atMs: number
}

/** Disconnected replicas that are remembered at most. */
export const MAX_REMEMBERED = 256
const QUIET_MS = 2000
/** Replicas fed by others that are listed at most. */
const MAX_BELOW = 4096
/** One that nothing was told of for so long counts as away. */
const BELOW_MS = 10_000

/** The replicas that this node has met, the ones that went away included, by node id. */
export class ReplicaList {
  readonly #clock: Clock
  /** Id of the node that has the list. */
  readonly #own: string
  /** Id of the leader that this node follows, directly or not; '' when it leads or knows none. */
  #leader = ''
  readonly #sessions = new Map<string, ReplicaSession>()
  /** The one that went away first comes first. */
  readonly #gone = new Map<string, { readonly peer: Peer; readonly sinceMs: number }>()
  readonly #below = new Map<string, Below>()
  /** One came, went away or was forgotten. Called on the hot path: cheap and never throwing. */
  onChanged: () => void = () => {}
  /**
   * One connected, here or to a replica; `address` is where others reach it, '' when it has not
   * said.
   */
  onMet: (node: string, address: string) => void = () => {}

  /**
   * `own` is this node's id; `peers` are those remembered from an earlier run; the last heard of
   * are kept.
   */
  constructor(clock: Clock, own: string, peers: readonly Peer[] = []) {
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
    this.onMet(session.node, session.advertise)
    this.onChanged()
  }

  /**
   * Where the connected replica `node` is, when it is another process than `instance`, has been up
   * for longer and was heard of within `silentMs`: a connection of one that has crashed or lost its
   * network is not held against the next.
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
   * up, ms. '' and 0 of one that is away.
   */
  processOf(node: string): { readonly instance: string; readonly upMs: number } {
    const nowMs = this.#clock.nowMs()
    const session = this.#sessions.get(node)
    if (session) return { instance: session.instance, upMs: nowMs - session.upSinceMs }
    const below = this.#below.get(node)
    if (!below || this.#gone.has(node)) return { instance: '', upMs: 0 }
    return { instance: below.told.instance, upMs: below.told.upMs + nowMs - below.atMs }
  }

  /** A message came; where it stands is read from the session. */
  seen(session: ReplicaSession): void {
    if (!this.#sessions.has(session.node)) this.connected(session)
  }

  /**
   * A replica tells of one that it feeds, or that is fed by one of those. What is newer counts: it
   * may have moved.
   */
  below(session: ReplicaSession, told: Body<'below'>): void {
    // Who tells of it may not have heard yet that it leads.
    if (told.node === this.#own || told.node === this.#leader) return
    const nowMs = this.#clock.nowMs()
    const known = this.#below.get(told.node)
    if (!told.connected && !this.#isNews(session, told, nowMs)) return
    if (!known && !this.#makeRoomBelow(nowMs)) return
    this.#gone.delete(told.node)
    // The one that was told of longest ago comes first.
    this.#below.delete(told.node)
    this.#below.set(told.node, { session, told, atMs: nowMs })
    if (told.connected) this.onMet(told.node, told.address)
    if (known?.told.connected !== told.connected) this.onChanged()
  }

  /** False when as many as are listed at most are there now. */
  #makeRoomBelow(nowMs: number): boolean {
    if (this.#below.size < MAX_BELOW) return true
    for (const [node, below] of this.#below) {
      if (isBelow(below, nowMs)) continue
      this.#below.delete(node)
      return true
    }
    return false
  }

  /**
   * Whether one that is told to be away is known here, so not forgotten, and was not seen elsewhere
   * since.
   */
  #isNews(session: ReplicaSession, told: Body<'below'>, nowMs: number): boolean {
    const gone = this.#gone.get(told.node)
    if (gone) return gone.sinceMs < nowMs - told.silentMs
    const known = this.#below.get(told.node)
    if (!known) return false
    return known.session === session || !isBelow(known, nowMs)
  }

  disconnected(session: ReplicaSession): void {
    for (const [node, below] of this.#below)
      if (below.session === session) this.#below.set(node, { ...below, session: undefined })
    if (this.#sessions.get(session.node) !== session) return
    this.#sessions.delete(session.node)
    if (session.node === this.#leader) return this.onChanged()
    this.#gone.set(session.node, {
      peer: peerOf(statusOf(session, session.lastSeenMs), session.lastSeenMs),
      sinceMs: session.lastSeenMs,
    })
    for (const node of this.#gone.keys()) {
      if (this.#gone.size <= MAX_REMEMBERED) break
      this.#gone.delete(node)
    }
    this.onChanged()
  }

  /** This node leads by now: `nodes` are to come, and are listed as away until they do. */
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
    this.onChanged()
  }

  /** This node follows the leader `node`, which is nobody's replica from now on. */
  follows(node: string): void {
    if (node === this.#leader) return
    this.#leader = node
    const wasGone = this.#gone.delete(node)
    if (this.#below.delete(node) || wasGone) this.onChanged()
  }

  /**
   * All are somebody else's to miss: this node leads no more. Those whose connections are being
   * closed are not listed as away.
   */
  clear(): void {
    this.#sessions.clear()
    this.#gone.clear()
    this.#below.clear()
    this.onChanged()
  }

  /**
   * Takes one that is away off the list; it is back when it connects again. Throws REPLICA_UNKNOWN
   * or REPLICA_CONNECTED.
   */
  forget(node: string): void {
    const below = this.#below.get(node)
    if (this.#sessions.has(node) || (below && isBelow(below, this.#clock.nowMs())))
      throw new WalcastError('REPLICA_CONNECTED', { node })
    const wasGone = this.#gone.delete(node)
    if (!this.#below.delete(node) && !wasGone) throw new WalcastError('REPLICA_UNKNOWN', { node })
    this.onChanged()
  }

  /** Connected ones first. The lag of one that is away grows with the clock. */
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

  /**
   * All that are listed, as they are to be remembered; the last heard of when there are too many.
   */
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

  /** Ids of those that are fed by this node itself, or were and are not forgotten. */
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

  /** Not those that are connected here by now. */
  #listBelow(nowMs: number): ReplicaStatus[] {
    const elsewhere = [...this.#below].filter(
      ([node]) => !this.#sessions.has(node) && !this.#gone.has(node),
    )
    return elsewhere.map(([, below]) => belowStatus(below, nowMs))
  }
}

function isBelow({ session, told, atMs }: Below, nowMs: number): boolean {
  return (
    told.connected && session !== undefined && session.state !== 'closed' && nowMs - atMs < BELOW_MS
  )
}

function belowStatus(below: Below, nowMs: number): ReplicaStatus {
  const { told, atMs } = below
  const connected = isBelow(below, nowMs)
  return {
    node: told.node,
    address: told.address,
    epoch: told.epoch,
    txid: told.txid,
    lagMs: told.lagMs + (connected ? 0 : nowMs - atMs),
    connected,
    lastSeen: new Date(atMs - told.silentMs).toISOString(),
    state: connected ? 'streaming' : 'away',
    via: told.via,
  }
}

/** A connected replica acknowledges every heartbeat: silence beyond that is lag. */
function statusOf(session: ReplicaSession, nowMs: number): ReplicaStatus {
  const silentMs = nowMs - session.lastSeenMs
  return {
    node: session.node,
    address: session.advertise || session.remoteAddress,
    epoch: session.epoch,
    txid: session.txid,
    lagMs: session.lagMs + (silentMs > QUIET_MS ? silentMs : 0),
    connected: true,
    lastSeen: new Date(session.lastSeenMs).toISOString(),
    state: session.state,
  }
}

/** With the lag that it had when it was last heard of, since the rest comes of the clock. */
function peerOf(status: ReplicaStatus, nowMs: number): Peer {
  const { connected, state: _state, lagMs, ...rest } = status
  const sinceMs = connected ? 0 : nowMs - Date.parse(status.lastSeen)
  return { ...rest, lagMs: Math.max(0, Math.round(lagMs - sinceMs)) }
}
