import type { Body } from '../../proto/messages.ts'
import type { Clock } from '../clock.ts'
import type { Session } from './session.ts'

export interface ReplicaStatus {
  readonly node: string
  readonly address: string
  readonly txid: number
  readonly lagMs: number
  readonly connected: boolean
  /** ISO time of its last message. */
  readonly lastSeen: string
  readonly state: string
  /** The replica that feeds it, when it is not this node itself. */
  readonly via?: string
}

interface Below {
  /** The session that told of it. */
  readonly session: Session
  readonly told: Body<'below'>
  readonly atMs: number
}

/** Disconnected replicas that are remembered at most. */
const MAX_REMEMBERED = 256
const QUIET_MS = 2000
/** Replicas fed by others that are listed at most. */
const MAX_BELOW = 4096
/** One that nothing was told of for so long counts as away. */
const BELOW_MS = 10_000

/** The replicas that this leader has met, the ones that went away included, by node id. */
export class ReplicaList {
  readonly #clock: Clock
  readonly #sessions = new Map<string, Session>()
  readonly #gone = new Map<string, { readonly status: ReplicaStatus; readonly sinceMs: number }>()
  readonly #below = new Map<string, Below>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  connected(session: Session): void {
    const older = this.#sessions.get(session.node)
    if (older && older !== session) older.terminate()
    this.#sessions.set(session.node, session)
    this.#gone.delete(session.node)
  }

  /** A message came; where it stands is read from the session. */
  seen(session: Session): void {
    if (!this.#sessions.has(session.node)) this.connected(session)
  }

  /** A replica tells of one that it feeds, or that is fed by one of those. */
  below(session: Session, told: Body<'below'>): void {
    if (this.#below.size >= MAX_BELOW && !this.#below.has(told.node)) return
    this.#below.set(told.node, { session, told, atMs: this.#clock.nowMs() })
  }

  disconnected(session: Session): void {
    if (this.#sessions.get(session.node) !== session) return
    this.#sessions.delete(session.node)
    this.#gone.set(session.node, {
      status: statusOf(session, session.lastSeenMs),
      sinceMs: session.lastSeenMs,
    })
    for (const node of this.#gone.keys()) {
      if (this.#gone.size <= MAX_REMEMBERED) break
      this.#gone.delete(node)
    }
  }

  /** Connected ones first. The lag of one that is away grows with the clock. */
  list(): ReplicaStatus[] {
    const nowMs = this.#clock.nowMs()
    const connected = [...this.#sessions.values()].map((session) => statusOf(session, nowMs))
    const gone = [...this.#gone.values()].map(({ status, sinceMs }) => ({
      ...status,
      connected: false,
      state: 'away',
      lagMs: Math.round(status.lagMs + nowMs - sinceMs),
    }))
    return [...connected, ...gone, ...this.#listBelow(nowMs)]
  }

  /** Not those that are connected here by now. */
  #listBelow(nowMs: number): ReplicaStatus[] {
    const elsewhere = [...this.#below].filter(([node]) => !this.#sessions.has(node) && !this.#gone.has(node))
    return elsewhere.map(([, below]) => belowStatus(below, nowMs))
  }
}

function belowStatus({ session, told, atMs }: Below, nowMs: number): ReplicaStatus {
  const sinceMs = nowMs - atMs
  const connected = told.connected && session.state !== 'closed' && sinceMs < BELOW_MS
  return {
    node: told.node,
    address: told.address,
    txid: told.txid,
    lagMs: told.lagMs + (connected ? 0 : sinceMs),
    connected,
    lastSeen: new Date(atMs - told.silentMs).toISOString(),
    state: connected ? 'streaming' : 'away',
    via: told.via,
  }
}

/** A connected replica acknowledges every heartbeat: silence beyond that is lag. */
function statusOf(session: Session, nowMs: number): ReplicaStatus {
  const silentMs = nowMs - session.lastSeenMs
  return {
    node: session.node,
    address: session.advertise || session.remoteAddress,
    txid: session.txid,
    lagMs: session.lagMs + (silentMs > QUIET_MS ? silentMs : 0),
    connected: true,
    lastSeen: new Date(session.lastSeenMs).toISOString(),
    state: session.state,
  }
}
