/**
 * TLS before an HTTP server that listens. The first byte of a connection tells whether it is TLS
 * (a handshake record begins with 22, RFC 8446, section 5.1). So one port serves both while nodes
 * change from plain text to TLS one after the other. Where only TLS is taken, plain text is told so
 * and closed.
 *
 * The HTTP server sees a connection once it is decrypted. Its budget counts it from the start: the
 * bounds hold for connections that take their time with the handshake. Those have room of their
 * own, in which the oldest gives way: a node's handshake takes milliseconds, so a crowd of open
 * ones does not hold it up.
 *
 * Sessions are never resumed, so each connection proves its keys.
 */
import { constants } from 'node:crypto'
import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket, Server as TlsServer } from 'node:tls'
import { systemCode, WalcastError } from '../errors.ts'
import { createTlsServer } from '../platform/sockets.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import type { ConnectionBudget } from '../proxy/connectionBudget.ts'
import { refuseUpgrade } from '../proxy/upgradeRelay.ts'
import { contextOptions, type ServedKeys } from '../security/servedKeys.ts'

/** Why a connection did not get to its first request. */
export type HandshakeFailure =
  | 'plaintext'
  | 'version'
  | 'certificate'
  | 'timeout'
  | 'gave-way'
  | 'closed'
  | 'other'

export interface TlsFrontOptions {
  readonly keys: ServedKeys
  readonly takesPlainText: boolean
  /** The longest time from the connection to the end of the handshake. */
  readonly handshakeTimeoutMs: number
  /** The same to the first byte of plain text. */
  readonly headTimeoutMs: number
  /** The most handshakes at once. */
  readonly maxHandshakes: number
  /** `address`: of the other side; undefined when it is gone. */
  onFailed(why: HandshakeFailure, address: string | undefined): void
}

const HANDSHAKE = 22
const LATE_HEAD = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

/** A connection that has not got to its first request. */
interface Arrival {
  readonly socket: Socket
  /** A socket that has closed no longer tells it. */
  readonly address: string | undefined
  timer: Timer | undefined
}

export class TlsFront {
  readonly #options: TlsFrontOptions
  readonly #tls: TlsServer
  /** Connections that HTTP may have. */
  readonly #ready = new WeakSet<Socket>()
  /** All others, by the connection below TLS. */
  readonly #arrivals = new Map<Socket, Arrival>()
  /** Those with a handshake under way, the oldest first. */
  readonly #handshakes = new Set<Arrival>()

  constructor(options: TlsFrontOptions) {
    this.#options = options
    const { keys } = options
    const secureOptions = constants.SSL_OP_NO_TICKET
    this.#tls = createTlsServer({
      ...contextOptions(keys.current),
      secureOptions,
      requestCert: true,
      // Who has no certificate that is known may still ask what needs none.
      rejectUnauthorized: false,
    })
    keys.onReplaced(() =>
      this.#tls.setSecureContext({ ...contextOptions(keys.current), secureOptions }),
    )
  }

  /** Number of handshakes under way. */
  get handshakes(): number {
    return this.#handshakes.size
  }

  /** To be called before anything else listens for connections of this server. */
  attach(http: HttpServer, connections: ConnectionBudget): void {
    const serve = http.listeners('connection') as ((socket: Socket) => void)[]
    http.removeAllListeners('connection')
    http.on('connection', (socket: Socket) => {
      if (this.#ready.has(socket)) for (const each of serve) each.call(http, socket)
      else this.#meet(http, socket)
    })
    this.#tls.on('secureConnection', (socket: TLSSocket) => {
      const below = socketBelow(socket)
      const arrival = below && this.#arrivals.get(below)
      if (!arrival) return void socket.destroy()
      this.#settle(arrival)
      connections.decrypted(arrival.socket, socket)
      this.#serve(http, socket)
    })
    this.#tls.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const below = socketBelow(socket)
      const arrival = below && this.#arrivals.get(below)
      if (arrival) this.#end(arrival, failureOf(error))
    })
  }

  /** Ends connections without a request. HTTP does not know them, and would wait for them. */
  close(): void {
    for (const { socket } of this.#arrivals.values()) socket.destroy()
  }

  #meet(http: HttpServer, socket: Socket): void {
    const { takesPlainText, handshakeTimeoutMs, headTimeoutMs } = this.#options
    const arrival: Arrival = { socket, address: socket.remoteAddress, timer: undefined }
    this.#arrivals.set(socket, arrival)
    if (!takesPlainText) this.#addHandshake(arrival)
    arrival.timer = setTimer(
      () => this.#onLate(arrival),
      takesPlainText ? headTimeoutMs : handshakeTimeoutMs,
    )
    socket.on('error', ignore)
    socket.once('close', () => {
      if (this.#arrivals.has(socket)) this.#end(arrival, 'closed')
    })
    socket.once('readable', () => {
      const first: Buffer | null = socket.read()
      if (first === null) return void socket.destroy()
      socket.unshift(first)
      if (first[0] === HANDSHAKE) this.#shakeHands(arrival)
      else if (takesPlainText) this.#takePlainText(http, arrival)
      else this.#refusePlainText(arrival)
    })
  }

  #shakeHands(arrival: Arrival): void {
    if (this.#options.takesPlainText) {
      this.#addHandshake(arrival)
      cancelTimer(arrival.timer)
      arrival.timer = setTimer(() => this.#onLate(arrival), this.#options.handshakeTimeoutMs)
    }
    if (this.#arrivals.has(arrival.socket)) this.#tls.emit('connection', arrival.socket)
  }

  #takePlainText(http: HttpServer, arrival: Arrival): void {
    this.#settle(arrival)
    this.#serve(http, arrival.socket)
  }

  #serve(http: HttpServer, socket: Socket): void {
    this.#ready.add(socket)
    http.emit('connection', socket)
  }

  #refusePlainText(arrival: Arrival): void {
    const { socket, address } = arrival
    this.#settle(arrival)
    this.#options.onFailed('plaintext', address)
    refuseUpgrade(socket, new WalcastError('TLS_WANTED'), {}, { upgrade: 'TLS/1.3' })
  }

  /** In its room the oldest gives way. */
  #addHandshake(arrival: Arrival): void {
    this.#handshakes.add(arrival)
    if (this.#handshakes.size <= this.#options.maxHandshakes) return
    const [oldest] = this.#handshakes
    this.#end(oldest, 'gave-way')
  }

  #onLate(arrival: Arrival): void {
    if (this.#handshakes.has(arrival)) return this.#end(arrival, 'timeout')
    this.#settle(arrival)
    // As Node's own server answers who sends no head.
    arrival.socket.end(LATE_HEAD)
    arrival.socket.destroySoon()
  }

  #end(arrival: Arrival, why: HandshakeFailure): void {
    if (this.#handshakes.has(arrival)) this.#options.onFailed(why, arrival.address)
    this.#settle(arrival)
    arrival.socket.destroy()
  }

  #settle(arrival: Arrival): void {
    cancelTimer(arrival.timer)
    this.#arrivals.delete(arrival.socket)
    this.#handshakes.delete(arrival)
  }
}

function ignore(): void {}

/** The connection that a TLS server was given. Node tells it in no other way. */
function socketBelow(socket: TLSSocket & { readonly _parent?: Socket }): Socket | undefined {
  return socket._parent
}

function failureOf(error: Error): HandshakeFailure {
  const code = String(systemCode(error) ?? '')
  if (code === 'ECONNRESET') return 'closed'
  if (/PROTOCOL|VERSION/.test(code)) return 'version'
  return /CERT|UNKNOWN_CA/.test(code) ? 'certificate' : 'other'
}
