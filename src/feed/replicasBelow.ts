/**
 * The replicas that replicas of this node feed, directly or through others, as those tell of them.
 *
 * A replica that reports nothing of one for `BELOW_MS`, or disconnects, leaves it listed as away.
 */
import type { Body } from '../../proto/messages.ts'
import type { ReplicaSession } from './replicaSession.ts'
import type { ReplicaStatus } from './replicaStatus.ts'

interface Below {
  /** The session that told of it, while that lasts. */
  readonly session: ReplicaSession | undefined
  readonly told: Body<'below'>
  readonly atMs: number
}

/** The list holds at most so many. */
const MAX_BELOW = 4096
/** A replica counts as away when nothing was told of it for so long. */
const BELOW_MS = 10_000

export class ReplicasBelow {
  /** By node id. The one told of longest ago comes first. */
  readonly #all = new Map<string, Below>()

  has(node: string): boolean {
    return this.#all.has(node)
  }

  isConnected(node: string, nowMs: number): boolean {
    const below = this.#all.get(node)
    return below !== undefined && isConnected(below, nowMs)
  }

  /** What was last told of it: whether it is connected. */
  wasConnected(node: string): boolean | undefined {
    return this.#all.get(node)?.told.connected
  }

  /** The random id of its process and for how long that has been up, ms. */
  processOf(
    node: string,
    nowMs: number,
  ): { readonly instance: string; readonly upMs: number } | undefined {
    const below = this.#all.get(node)
    if (!below) return undefined
    return { instance: below.told.instance, upMs: below.told.upMs + nowMs - below.atMs }
  }

  /** Whether word from `session` that `node` is away counts: another session may feed it by now. */
  isNewsOfAway(node: string, session: ReplicaSession, nowMs: number): boolean {
    const known = this.#all.get(node)
    return known !== undefined && (known.session === session || !isConnected(known, nowMs))
  }

  /** Takes in what `session` tells. False when the list is full of replicas that are connected. */
  take(session: ReplicaSession, told: Body<'below'>, nowMs: number): boolean {
    if (!this.#all.has(told.node) && !this.#makeRoom(nowMs)) return false
    this.#all.delete(told.node)
    this.#all.set(told.node, { session, told, atMs: nowMs })
    return true
  }

  /** Counts the replicas behind `session` as away until another session reports them. */
  disconnected(session: ReplicaSession): void {
    for (const [node, below] of this.#all)
      if (below.session === session) this.#all.set(node, { ...below, session: undefined })
  }

  /** False when it was not listed. */
  delete(node: string): boolean {
    return this.#all.delete(node)
  }

  clear(): void {
    this.#all.clear()
  }

  list(nowMs: number): ReplicaStatus[] {
    return [...this.#all.values()].map((below) => statusOf(below, nowMs))
  }

  #makeRoom(nowMs: number): boolean {
    if (this.#all.size < MAX_BELOW) return true
    for (const [node, below] of this.#all) {
      if (isConnected(below, nowMs)) continue
      this.#all.delete(node)
      return true
    }
    return false
  }
}

function isConnected({ session, told, atMs }: Below, nowMs: number): boolean {
  return (
    told.connected && session !== undefined && session.state !== 'closed' && nowMs - atMs < BELOW_MS
  )
}

function statusOf(below: Below, nowMs: number): ReplicaStatus {
  const { told, atMs } = below
  const connected = isConnected(below, nowMs)
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
