/**
 * The connections of one HTTP server: how many there may be, and how long a client may keep one
 * waiting. Past a bound, the client that has been still for longest gives way. Where none is still,
 * a small room is left in which only health is answered, so that a crowd does not hide whether the
 * node lives. Nothing is done per byte: a regular look at all connections sees what has moved.
 */
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { WalcastError } from '../errors.ts'
import { cancelTimer, monotonicMs, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { giveUp } from './client.ts'
import { Connection } from './connection.ts'
import { largestShare } from './requestBudget.ts'

export interface ConnectionLimits {
  readonly maxConnections: number
  /** Connections of one client. */
  readonly maxClientConnections: number
  /** Requests on one connection before the first of them is answered. */
  readonly maxPipelined: number
  /** How long a body may bring no byte. */
  readonly bodyTimeoutMs: number
  /** How long a client may read nothing of what it was sent. */
  readonly sendTimeoutMs: number
}

/** Why this node ended a connection before its client wanted that. */
export type Cut = 'body-timeout' | 'send-timeout' | 'gave-way' | 'no-room' | 'pipelined'

export interface ConnectionHost {
  /** What a connection from this address is counted under. Undefined: only the total counts. */
  clientAt(address: string | undefined): string | undefined
  onCut(why: Cut): void
  /** Answers a request that is under way; cuts its connection if its answer has begun. */
  refuse(response: ServerResponse, error: WalcastError): void
}

const LOOK_MS = 1000
const LOOK_MIN_MS = 20
/** A client that was still for less does not give way. */
const GIVE_WAY_MS = 2000
/** Connections past the bound that wait for an answer: room for health. */
const ROOM = 64
/** Those of one client among them. */
const ROOM_PER_CLIENT = 8
/** How long one of these may take to send its request. */
const ROOM_MS = 2000

export class ConnectionBudget {
  readonly #limits: ConnectionLimits
  readonly #maxPerClient: number
  readonly #host: ConnectionHost
  readonly #known = new WeakMap<Socket, Connection>()
  readonly #open = new Set<Connection>()
  readonly #byClient = new Map<string, number>()
  /** Those past the bound, the oldest first. */
  readonly #room = new Set<Connection>()
  /**
   * Connections that may give way, the stillest last, as the last look found them: those without a
   * request, and those with one.
   */
  #idle: Connection[] = []
  #stalled: Connection[] = []
  #timer: Timer | undefined

  constructor(limits: ConnectionLimits, host: ConnectionHost) {
    const { maxConnections, maxClientConnections } = limits
    this.#limits = limits
    this.#maxPerClient = Math.min(maxClientConnections, largestShare(maxConnections))
    this.#host = host
  }

  get size(): number {
    return this.#open.size + this.#room.size
  }

  /**
   * Takes the connections of this server from now on, until it closes. Several servers may be
   * attached, one for each address.
   */
  attach(server: Server): void {
    const { bodyTimeoutMs, sendTimeoutMs } = this.#limits
    const lookMs = Math.min(
      LOOK_MS,
      Math.max(LOOK_MIN_MS, Math.min(bodyTimeoutMs, sendTimeoutMs) / 4),
    )
    server.on('connection', (socket: Socket) => this.#accept(socket))
    server.once('listening', () => {
      this.#timer ??= setRepeatingTimer(() => this.look(monotonicMs()), lookMs).unref()
    })
    server.once('close', () => cancelTimer(this.#timer))
  }

  /**
   * Whether more requests came at once than may wait on one connection. The connection is cut then:
   * nothing must be done for them.
   */
  overflows(socket: Socket): boolean {
    const connection = this.#known.get(socket)
    if (!connection || connection.requests < this.#limits.maxPipelined) return false
    if (socket.destroyed) return true
    this.#forget(connection)
    this.#host.onCut('pipelined')
    socket.destroy()
    return true
  }

  /**
   * A request has come. Returns why its connection gets health only and then closes; undefined
   * within the bounds.
   */
  arrive(response: ServerResponse): WalcastError | undefined {
    const connection = this.#known.get(response.req.socket)
    if (!connection) return undefined
    connection.requests++
    connection.arrived++
    connection.response = response
    if (this.#room.has(connection)) response.shouldKeepAlive = false
    return connection.limit
  }

  /** Its answer is over. */
  leave(response: ServerResponse): void {
    const connection = this.#known.get(response.req.socket)
    // The last answer is let go of, or each idle connection would hold its last request.
    if (connection && --connection.requests === 0) connection.response = undefined
  }

  /** `socket` is what comes out of the encrypted connection `below`: both are one connection. */
  decrypted(below: Socket, socket: Socket): void {
    const connection = this.#known.get(below)
    if (!connection) return
    connection.socket = socket
    this.#known.set(socket, connection)
  }

  /** Returns why this connection may not be upgraded. Otherwise it may be still from now on. */
  upgrade(socket: Socket): WalcastError | undefined {
    const connection = this.#known.get(socket)
    if (!connection || connection.limit) return connection?.limit
    connection.isUpgraded = true
    return undefined
  }

  /**
   * The peer is the node `owner`: it is let in past the bound, and its connection may be still
   * until it is needed.
   */
  prove(socket: Socket, owner: string): void {
    const connection = this.#known.get(socket)
    if (!connection) return
    connection.owner = owner
    connection.limit = undefined
    if (this.#room.delete(connection)) this.#enter(connection)
  }

  /**
   * Ends the request of the client that has been still for longest; false when none is still.
   * `owner`: only a request of this node.
   */
  giveWay(owner?: string): boolean {
    return this.#giveWay(this.#stalled, owner)
  }

  /**
   * Closes connections on which nothing ever came. Node does not count them as idle, and a server
   * that closes would wait for them.
   */
  closeUnused(): void {
    for (const { socket, isUpgraded } of [...this.#open, ...this.#room])
      if (socket.bytesRead === 0 && !isUpgraded) socket.destroy()
  }

  /** Looks what has moved since the last time, and ends what has been still for too long. */
  look(nowMs: number): void {
    this.#idle = []
    this.#stalled = []
    for (const connection of this.#open) {
      // A node decides itself which of its replicas is too slow.
      if (connection.isUpgraded && connection.owner !== undefined) continue
      const debt = connection.look(nowMs)
      if (debt === undefined) continue
      if (this.#isLate(connection, nowMs))
        this.#end(connection, debt === 'body' ? 'body-timeout' : 'send-timeout')
      else if (nowMs - connection.steadyMs >= GIVE_WAY_MS)
        (debt === 'request' ? this.#idle : this.#stalled).push(connection)
    }
    for (const connection of this.#room) {
      const debt = connection.look(nowMs)
      if (debt !== undefined && nowMs - connection.steadyMs >= ROOM_MS)
        this.#end(connection, 'no-room')
    }
    for (const list of [this.#idle, this.#stalled]) list.sort((a, b) => b.steadyMs - a.steadyMs)
  }

  #isLate({ debt, movedMs }: Connection, nowMs: number): boolean {
    const { bodyTimeoutMs, sendTimeoutMs } = this.#limits
    // Node's own server ends idle connections, and requests whose heads do not come.
    if (debt === 'request') return false
    return nowMs - movedMs >= (debt === 'body' ? bodyTimeoutMs : sendTimeoutMs)
  }

  #accept(socket: Socket): void {
    // An upgrade that is taken as a request comes a second time.
    if (this.#known.has(socket)) return
    const client = this.#host.clientAt(socket.remoteAddress)
    const limit = this.#limitFor(client)
    const connection = new Connection(socket, client, monotonicMs(), limit)
    this.#known.set(socket, connection)
    socket.once('close', () => this.#forget(connection))
    if (limit) this.#enterRoom(connection)
    else this.#enter(connection)
  }

  #enter(connection: Connection): void {
    const { client } = connection
    this.#open.add(connection)
    if (client !== undefined) this.#byClient.set(client, (this.#byClient.get(client) ?? 0) + 1)
  }

  #limitFor(client: string | undefined): WalcastError | undefined {
    const { maxConnections } = this.#limits
    const limit = this.#maxPerClient
    if (client !== undefined && (this.#byClient.get(client) ?? 0) >= limit)
      return new WalcastError('TOO_MANY_FROM_CLIENT', {
        limit,
        what: 'connections',
        client,
      })
    if (
      this.#open.size < maxConnections ||
      this.#giveWay(this.#idle) ||
      this.#giveWay(this.#stalled)
    )
      return undefined
    return new WalcastError('TOO_MANY_CONNECTIONS', { limit: maxConnections })
  }

  /**
   * The oldest without a request under way makes room; where all have one, the new connection gets
   * none.
   */
  #enterRoom(connection: Connection): void {
    const { client } = connection
    const ofClient = [...this.#room].filter(
      (other) => client !== undefined && other.client === client,
    )
    const rivals =
      ofClient.length >= ROOM_PER_CLIENT ? ofClient : this.#room.size >= ROOM && [...this.#room]
    this.#room.add(connection)
    if (rivals) this.#end(rivals.find(({ requests }) => requests === 0) ?? connection, 'no-room')
  }

  #giveWay(list: Connection[], owner?: string): boolean {
    for (let at = list.length - 1; at >= 0; at--) {
      const connection = list[at]
      if (owner !== undefined && connection.owner !== owner) continue
      list.splice(at, 1)
      if (!this.#isStill(connection)) continue
      this.#end(connection, 'gave-way')
      return true
    }
    return false
  }

  /** Whether nothing has moved since the last look either. */
  #isStill(connection: Connection): boolean {
    const { steadyMs, owner, isUpgraded } = connection
    if (!this.#open.has(connection) || isUpgraded) return false
    const debt = connection.look(monotonicMs())
    // A node keeps a connection without a request for its next one, which must not meet the close.
    if (debt === undefined || (debt === 'request' && owner !== undefined)) return false
    return connection.steadyMs === steadyMs
  }

  /** Tells the client why, if it still sends and has had no answer. */
  #end(connection: Connection, why: Cut): void {
    const { socket, response, debt, movedMs } = connection
    this.#forget(connection)
    this.#host.onCut(why)
    // A response whose turn has not come cannot be sent before the others on its connection.
    if (debt !== 'body' || !response?.socket) return void socket.destroy()
    giveUp(response)
    const seconds = Math.round((monotonicMs() - movedMs) / 100) / 10
    this.#host.refuse(response, new WalcastError('REQUEST_STALLED', { seconds }))
  }

  #forget(connection: Connection): void {
    this.#room.delete(connection)
    if (!this.#open.delete(connection) || connection.client === undefined) return
    const left = (this.#byClient.get(connection.client) ?? 0) - 1
    if (left > 0) this.#byClient.set(connection.client, left)
    else this.#byClient.delete(connection.client)
  }
}
