/**
 * Knows which replicas hold a commit, by what they acknowledge, and ends the waits for that. It
 * asks a replica once for the highest commit that is waited for, and not again before the answer.
 * Replicas also acknowledge without being asked.
 *
 * Only replicas that are fed by this node count, and only while they are connected.
 */
import type { Body } from '../../proto/messages.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'
import { AckConfirmations, type Confirmed } from './ackConfirmations.ts'
import type { SessionState } from './replicaSession.ts'

/** How many replicas, and whether the commit must survive a loss of power there. */
export interface AckWanted {
  /** `all`: every replica that is known, those that are away included. */
  readonly replicas: number | 'all'
  readonly durable: boolean
  /** The archive must have it; no replica counts. */
  readonly archived?: boolean
}

/**
 * `alone`: every known replica holds it, and that is fewer than wanted. `full`: too many wait.
 * `ended`: the node no longer leads, or not that history.
 */
export type AckEnd = 'reached' | 'timeout' | 'alone' | 'full' | 'ended'

export interface AckOutcome {
  readonly reached: boolean
  /** Replicas that hold it now. */
  readonly replicas: number
  readonly end: AckEnd
}

type Position = { readonly epoch: number; readonly txid: number }

/** What of the connection to a replica, its `ReplicaSession`, matters here. */
export interface AskedReplica {
  readonly node: string
  readonly state: SessionState
  /** Its last acknowledgement. */
  readonly acked: Body<'ack'> | undefined
  send(type: 'ask', body: Body<'ask'>): void
}

export interface AcknowledgementsHost {
  /** Name of the database in messages. */
  readonly db: string
  epoch(): number
  /** Whether the position is part of this node's history. */
  contains(position: Position): boolean
  /** Ids of the replicas that are fed here, or were and are not forgotten. */
  known(): Iterable<string>
  /** Whether what that replica confirms may be counted on. On the hot path. */
  counts(node: string): boolean
}

/** Below every txid. */
const NOTHING = -1

interface Waiter extends AckWanted {
  readonly txid: number
  readonly end: (end: AckEnd) => void
}

interface Known {
  readonly connection: AskedReplica
  /** Of the present epoch, from a replica that was level. */
  txid: number
  durableTxid: number
  /** Asked for and perhaps not answered yet. */
  asked: number
  askedDurable: number
}

export class Acknowledgements {
  readonly #host: AcknowledgementsHost
  readonly #limit: number
  readonly #connected = new Map<string, Known>()
  readonly #waiters = new Set<Waiter>()
  readonly #confirmations = new AckConfirmations()
  #ended = false

  /** `limit` bounds the waiters. */
  constructor(limit: number, host: AcknowledgementsHost) {
    this.#limit = limit
    this.#host = host
  }

  /** Waiters now. */
  get size(): number {
    return this.#waiters.size
  }

  /**
   * Resolves when as many replicas as wanted hold `position`, or it is clear that they will not in
   * time. Never rejects.
   */
  wait(
    position: Position,
    { replicas, durable }: AckWanted,
    timeoutMs: number,
  ): Promise<AckOutcome> {
    const wanted = { replicas, durable, txid: position.txid }
    const outcome = (end: AckEnd): AckOutcome => ({
      reached: end === 'reached',
      replicas: this.#holders(wanted),
      end,
    })
    if (this.#ended || !this.#host.contains(position))
      return Promise.resolve({ reached: false, replicas: 0, end: 'ended' })
    const now = this.#endOf(wanted, this.#levels(wanted))
    if (now) return Promise.resolve(outcome(now))
    if (this.#waiters.size >= this.#limit) return Promise.resolve(outcome('full'))
    return new Promise((resolve) => {
      const timer = setTimer(() => waiter.end('timeout'), timeoutMs)
      const waiter: Waiter = {
        ...wanted,
        end: (end) => {
          cancelTimer(timer)
          this.#waiters.delete(waiter)
          resolve(outcome(end))
        },
      }
      this.#waiters.add(waiter)
      for (const known of this.#connected.values()) this.#ask(known, waiter.txid, durable)
    })
  }

  /**
   * Whether `node` says from now on, within `timeoutMs`, that it stands at exactly this position
   * with this state checksum. False also when it goes away, says otherwise, or another confirmation
   * of the same node begins. Never rejects.
   */
  confirm(node: string, position: Confirmed, timeoutMs: number): Promise<boolean> {
    const known = this.#connected.get(node)
    if (this.#ended || !known) return Promise.resolve(false)
    const confirmed = this.#confirmations.begin(node, position, timeoutMs)
    if (known.connection.state === 'streaming') this.#send(known, position.txid, false)
    return confirmed
  }

  /** A replica said hello; nothing that an earlier connection of it said counts. */
  onConnected(connection: AskedReplica): void {
    this.#confirmations.fail(connection.node)
    this.#connected.set(connection.node, {
      connection,
      txid: NOTHING,
      durableTxid: NOTHING,
      asked: NOTHING,
      askedDurable: NOTHING,
    })
  }

  /** Called on the hot path. */
  onAck(connection: AskedReplica): void {
    const known = this.#connected.get(connection.node)
    const { acked } = connection
    if (known?.connection !== connection || !acked || !this.#counts(connection, acked)) return
    known.txid = acked.txid
    known.durableTxid = acked.durableTxid || NOTHING
    this.#confirmations.onAck(connection.node, acked)
    if (this.#waiters.size > 0) this.#look(known)
  }

  onClosed(connection: AskedReplica): void {
    if (this.#connected.get(connection.node)?.connection !== connection) return
    this.#connected.delete(connection.node)
    this.#confirmations.fail(connection.node)
  }

  /**
   * A new epoch begins, or the node stops leading: what is waited for is not acknowledged any more.
   */
  endAll(): void {
    for (const waiter of this.#waiters) waiter.end('ended')
    this.#confirmations.failAll()
    this.#connected.clear()
  }

  /** Ends all waits, for good. */
  stop(): void {
    this.#ended = true
    this.endAll()
  }

  /** A replica that compares pages does not hold the state of its position. */
  #counts({ state }: AskedReplica, { epoch, checksum }: Body<'ack'>): boolean {
    return state === 'streaming' && checksum !== '' && epoch === this.#host.epoch()
  }

  /**
   * Ends those whose wait is over, and asks the replica that just answered for what is still waited
   * for.
   */
  #look(known: Known): void {
    const levels = new Map<string, Levels>()
    let [txid, durableTxid] = [NOTHING, NOTHING]
    for (const waiter of this.#waiters) {
      const key = `${waiter.replicas} ${waiter.durable}`
      let level = levels.get(key)
      if (!level) {
        level = this.#levels(waiter)
        levels.set(key, level)
      }
      const end = this.#endOf(waiter, level)
      if (end) waiter.end(end)
      else if (waiter.durable) durableTxid = Math.max(durableTxid, waiter.txid)
      else txid = Math.max(txid, waiter.txid)
    }
    this.#ask(known, txid, false)
    this.#ask(known, durableTxid, true)
  }

  #endOf({ txid }: { readonly txid: number }, { held, heldByAll }: Levels): AckEnd | undefined {
    if (txid <= held) return 'reached'
    return txid <= heldByAll ? 'alone' : undefined
  }

  #levels({ replicas, durable }: AckWanted): Levels {
    const txids = [...this.#host.known()].map((node) =>
      this.#host.counts(node) ? txidOf(this.#connected.get(node), durable) : NOTHING,
    )
    txids.sort((a, b) => b - a)
    const heldByAll = txids.at(-1) ?? Number.POSITIVE_INFINITY
    const index = replicas === 'all' ? txids.length - 1 : replicas - 1
    return { held: txids[index] ?? NOTHING, heldByAll }
  }

  #holders({ txid, durable }: { readonly txid: number; readonly durable: boolean }): number {
    let count = 0
    for (const [node, known] of this.#connected)
      if (this.#host.counts(node) && txidOf(known, durable) >= txid) count++
    return count
  }

  /** Asks the replica, unless it has that, or was asked and has not answered. */
  #ask(known: Known, txid: number, durable: boolean): void {
    const asked = durable ? known.askedDurable : known.asked
    const has = txidOf(known, durable)
    if (txid <= has || asked > has || known.connection.state !== 'streaming') return
    this.#send(known, txid, durable)
  }

  #send(known: Known, txid: number, durable: boolean): void {
    if (durable) known.askedDurable = txid
    else known.asked = txid
    known.connection.send('ask', { db: this.#host.db, txid, durable })
  }
}

interface Levels {
  /** What as many as wanted hold; NOTHING when there are not so many. */
  readonly held: number
  /** What all hold that are known: there is no other to wait for. */
  readonly heldByAll: number
}

function txidOf(known: Known | undefined, durable: boolean): number {
  return (durable ? known?.durableTxid : known?.txid) ?? NOTHING
}
