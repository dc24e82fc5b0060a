/**
 * One connection to another HTTP server, and what is known of the bytes that went over it.
 *
 * A server that answers before it has read the whole request closes with bytes unread, and this
 * side's next write fails. By then the answer lies in this side's receive buffer. It would be lost
 * if the failed write ended the connection. So what can no longer be written is dropped, and the
 * connection ends where reading it ends.
 *
 * Nothing of a request has left this node only if the system refused its very first write at once.
 * If the server closed or reset the connection later, whatever it acknowledged, the application may
 * have read some of it.
 */
import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { connectTcp, connectTls } from '../platform/sockets.ts'

/** The system finds out a host that has silently gone after this time. */
const PROBE_MS = 60_000

type Done = (error?: Error | null) => void

/** A connection on its way to another node. Nothing may be sent before `ready` resolves. */
export interface WireDial {
  readonly socket: Socket
  /** The connection is closed when it rejects. */
  readonly ready: Promise<unknown>
}

export class Wire {
  readonly socket: Socket
  /** Requests may go over it. Never settles when no connection is made. */
  readonly ready: Promise<unknown>
  /** The name in the certificate, with TLS. */
  readonly servername: string | undefined
  /** How long it was idle before the present request; undefined for its first. */
  idleBeforeMs: number | undefined
  idleSinceMs = 0
  /** No request has it. */
  isIdle = false
  /** The answer to the present request, as soon as its head is here. */
  response: IncomingMessage | undefined
  readonly #isTls: boolean
  #hasWritten = false
  #isBroken = false

  /** `dial`: to another node, which proves itself first. */
  constructor(origin: URL, servername: string | undefined, dial?: () => WireDial) {
    const host = origin.hostname.replace(/^\[|\]$/g, '')
    this.servername = servername
    const isTls = origin.protocol === 'https:'
    const port = Number(origin.port || (isTls ? 443 : 80))
    const dialed = dial?.()
    this.socket =
      dialed?.socket ??
      (isTls
        ? connectTls({ host, port, ...(servername ? { servername } : {}) })
        : connectTcp({ host, port }))
    this.#isTls = 'encrypted' in this.socket
    this.ready =
      dialed?.ready ??
      new Promise((resolve) => this.socket.once(isTls ? 'secureConnect' : 'connect', resolve))
    this.socket.setNoDelay(true)
    this.socket.setKeepAlive(true, PROBE_MS)
    this.#guardWrites()
    // Bytes that belong to no request could be taken for the answer to the next one. A whole answer
    // may be read long after; until then nothing else looks at what follows it.
    this.socket.on('data', () => {
      if (this.isIdle || this.response?.complete) this.socket.destroy()
    })
  }

  /** A request begins. */
  begin(): void {
    // With TLS this side cannot tell whether something was written.
    this.#hasWritten = this.#isTls
  }

  /** Whether a byte of the present request may have left. */
  get hasWritten(): boolean {
    return this.#hasWritten
  }

  /** Whether another request may go over it. */
  get isUsable(): boolean {
    const { destroyed, writable, readable, readableEnded } = this.socket
    return !this.#isBroken && !destroyed && writable && readable && !readableEnded
  }

  #guardWrites(): void {
    const { socket } = this
    const write = socket._write.bind(socket)
    const writev = socket._writev?.bind(socket)
    socket._write = (chunk, encoding, done) =>
      this.#pass((told) => write(chunk, encoding, told), done)
    if (writev) socket._writev = (chunks, done) => this.#pass((told) => writev(chunks, told), done)
  }

  #pass(write: (told: Done) => void, done: Done): void {
    if (this.#isBroken) return done()
    write((error) => {
      if (error) this.#isBroken = true
      done()
    })
    if (!this.#isBroken) this.#hasWritten = true
  }
}

/** The name that a certificate must have, from the request's Host; undefined for an address. */
export function servernameOf(host: string | undefined): string | undefined {
  if (host === undefined || host.startsWith('[')) return undefined
  const name = host.replace(/:\d*$/, '')
  return name === '' || isIP(name) ? undefined : name
}
