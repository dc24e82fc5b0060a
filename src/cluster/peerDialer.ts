/**
 * Connections to other nodes. Whoever answers at an address proves to be a node of this cluster
 * before anything is sent to it: over TLS by a key that this node knows, otherwise by the cluster
 * secret over a challenge. In a cluster without a secret nothing is proven.
 */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { connectTcp, connectTls } from '../platform/sockets.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'
import { peerFingerprint } from '../security/connectionKeys.ts'
import type { MemberSockets } from '../security/memberSockets.ts'
import type { ProofKeys, Prover } from '../security/proof.ts'
import type { KnownKeys } from '../security/senderKeys.ts'
import { type ServedKeys, TLS_VERSION } from '../security/servedKeys.ts'
import { proveConnection, TlsWanted } from './connectionProof.ts'
import type { OldNodes } from './oldNodes.ts'

/** Addresses of nodes of which it is remembered that they take no plain text. */
const MAX_TOLD = 256
/** OpenSSL's and Node's codes for a certificate that is not believed, and for no TLS at all. */
const NO_PROOF = /CERT|ISSUER|SIGNATURE|ALTNAME|WRONG_VERSION_NUMBER|PACKET_LENGTH/

/** Who answers at the other end. */
export interface Peer {
  /** Id of the node; '' when it was not asked for, or in an open cluster. */
  readonly node: string
  /** 64 hex digits of its TLS key; '' in plain text. */
  readonly fingerprint: string
  /** How far its clock is ahead, ms; undefined when its key was proof enough. */
  readonly aheadMs?: number
  /** Whether it is taken for a node of the version before keys. */
  readonly isOld?: boolean
}

/** A connection on its way. Nothing may be sent before `ready` resolves. */
export interface Dial {
  readonly socket: Socket
  /** Rejects with PEER_UNPROVEN, or with the error of the connection, which is closed then. */
  readonly ready: Promise<Peer>
}

/** Between nodes: TLS always, plain text where the other takes it, or without any proof. */
export type Transport = 'tls' | 'plain' | 'open'

export interface PeerDialerParts {
  readonly transport: Transport
  /** What a node proves to know: the secrets of the cluster, or a token. */
  readonly secrets: ProofKeys
  /** The same in words. */
  readonly secretText?: string
  /** This node's own; undefined in an open cluster, and for the command line. */
  readonly keys: ServedKeys | undefined
  readonly known: Pick<KnownKeys, 'nodeOf' | 'isRemoved' | 'introduce'>
  /** Hears of the connections to nodes that have proven themselves. */
  readonly sockets?: Pick<MemberSockets, 'add'>
  /** Somebody at an address did not prove to be a node of this cluster. */
  readonly onUnproven?: (address: string, why: string) => void
  /**
   * Why a node is not the one to talk to at an address, though it has proven the cluster secret: a
   * stranger there may have passed on the challenge.
   */
  readonly misplaced?: (address: string, prover: Prover) => string | undefined
  /** Undefined unless nodes of the version before keys are talked to as well. */
  readonly old?: OldNodes | undefined
}

/** Nothing at the address took the connection, or proved itself over it, in time. */
export class NotInTime extends Error {
  /** Whether something took the connection, and then said nothing. */
  readonly isSilent: boolean

  constructor(timeoutMs: number, isSilent: boolean) {
    super(`no connection within ${timeoutMs} ms`)
    this.isSilent = isSilent
  }
}

/** Where a peer fails to prove itself: in TLS, by its key, or by the secret of the cluster. */
export type Unproven = 'tls' | 'key' | 'secret'

export class PeerUnproven extends WalcastError {
  readonly by: Unproven

  constructor(address: string, detail: string, by: Unproven) {
    super('PEER_UNPROVEN', { address, detail })
    this.by = by
  }
}

export class PeerDialer {
  readonly #parts: PeerDialerParts
  /** HOST:PORT of nodes that take no plain text; the one heard of last comes last. */
  readonly #wantTls = new Set<string>()

  constructor(parts: PeerDialerParts) {
    this.#parts = parts
  }

  /** Whether nothing is proven: the cluster has no secret. */
  get isOpen(): boolean {
    return this.#parts.transport === 'open'
  }

  /**
   * Connects to HOST:PORT within `timeoutMs`. `isProven`: whether the peer proves itself before
   * `ready` in plain text too; over TLS it does in any case.
   */
  dial(address: string, timeoutMs: number, isProven = true): Dial {
    const { transport } = this.#parts
    const isTls = transport === 'tls' || (transport === 'plain' && this.wantsTls(address))
    const socket = isTls ? this.#connectTls(address) : this.#connectTcp(address)
    // It may fail between two users, each of whom learns that from its close.
    socket.on('error', () => {})
    // An old node is told from a stranger at least by its answer.
    const isAsked = isProven || this.#parts.old !== undefined
    const ready = this.#meet(socket, address, isTls, isAsked && !this.isOpen)
    const timer = setTimer(
      () => socket.destroy(new NotInTime(timeoutMs, !socket.connecting)),
      timeoutMs,
    )
    return { socket, ready: ready.finally(() => cancelTimer(timer)) }
  }

  /** Whether the node at HOST:PORT takes no plain text, as far as it was heard of. */
  wantsTls(address: string): boolean {
    return this.#wantTls.has(address)
  }

  /**
   * Whether the node at HOST:PORT takes plain text. TLS is tried whoever says so: what is there
   * proves itself in both cases.
   */
  onTransportTold(address: string, takesPlainText: boolean): void {
    this.#wantTls.delete(address)
    if (takesPlainText) return
    this.#wantTls.add(address)
    const [oldest] = this.#wantTls
    if (this.#wantTls.size > MAX_TOLD) this.#wantTls.delete(oldest)
  }

  #connectTcp(address: string): Socket {
    return connectTcp(hostPortOf(address))
  }

  #connectTls(address: string): TLSSocket {
    const { keys } = this.#parts
    return connectTls({
      ...hostPortOf(address),
      // A pinned key is checked below, before anything is sent.
      rejectUnauthorized: keys?.current.authority !== undefined,
      ...(keys ? { secureContext: keys.context } : { ...TLS_VERSION, ca: [] }),
    })
  }

  async #meet(socket: Socket, address: string, isTls: boolean, isProven: boolean): Promise<Peer> {
    try {
      await connected(socket, isTls)
      if (!isTls && !isProven) return { node: '', fingerprint: '' }
      const peer = await (isTls
        ? this.#meetTls(socket as TLSSocket, address)
        : this.#prove(socket, address, ''))
      if (!peer.isOld) this.#parts.old?.onProven(address)
      this.#parts.sockets?.add(socket, peer.node, peer.fingerprint)
      return peer
    } catch (error) {
      socket.destroy()
      throw this.#failureOf(address, error, isTls)
    }
  }

  #failureOf(address: string, error: unknown, isTls: boolean): unknown {
    if (error instanceof TlsWanted) this.onTransportTold(address, false)
    return isTls && NO_PROOF.test(systemCode(error))
      ? this.unproven(address, messageOf(error), 'tls')
      : error
  }

  async #meetTls(socket: TLSSocket, address: string): Promise<Peer> {
    const { known, keys } = this.#parts
    const fingerprint = peerFingerprint(socket)
    if (fingerprint === undefined) throw this.unproven(address, 'it has no certificate', 'tls')
    if (known.isRemoved(fingerprint)) throw this.unproven(address, 'its key was removed', 'key')
    const node = known.nodeOf(fingerprint)
    if (node !== undefined) return { node, fingerprint }
    const told = await this.#prove(socket, address, fingerprint)
    const isVouchedFor = keys?.current.authority !== undefined
    if (!known.introduce(told.node, fingerprint, address) && !isVouchedFor)
      throw this.unproven(
        address,
        `its key ${fingerprint.slice(0, 16)} is not that of a member`,
        'key',
      )
    return told
  }

  async #prove(socket: Socket, address: string, fingerprint: string): Promise<Peer> {
    const { secrets, secretText = 'the cluster secret', old } = this.#parts
    let isOld = false
    const proven = await proveConnection(socket, secrets, address, fingerprint, (answer) => {
      isOld = fingerprint === '' && old?.takes(address, answer) === true
    })
    if (isOld) return { node: '', fingerprint, isOld }
    if (!proven) throw this.unproven(address, `it does not know ${secretText}`)
    this.requirePlaced(address, proven)
    const { node, aheadMs } = proven
    return { node, aheadMs, fingerprint }
  }

  /** Throws PEER_UNPROVEN when a node that has proven the secret is not the one at the address. */
  requirePlaced(address: string, prover: Prover): void {
    const why = this.#parts.misplaced?.(address, prover)
    if (why !== undefined) throw this.unproven(address, why)
  }

  /** The error of somebody at an address who proves nothing; counted. */
  unproven(address: string, detail: string, by: Unproven = 'secret'): WalcastError {
    this.#parts.onUnproven?.(address, detail)
    return new PeerUnproven(address, detail, by)
  }
}

function hostPortOf(address: string): { readonly host: string; readonly port: number } {
  const parsed = parseHostPort(address)
  if (!parsed) throw new WalcastError('NODE_UNREACHABLE', { url: address, detail: 'no HOST:PORT' })
  return parsed
}

function connected(socket: Socket, isTls: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('the connection was closed'))
    socket.once('error', reject)
    socket.once('close', onClose)
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      socket.off('error', reject)
      socket.off('close', onClose)
      resolve()
    })
  })
}
