/**
 * Upgrades (WebSockets) that clients ask for at the public side. An upgrade waits as a request
 * does: for the start of this node, for the leader, for the application. It is relayed to this
 * node's application, or to the leader if its path is forwarded.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { DatabaseView } from '../api/databaseView.ts'
import { asWalcastError, WalcastError } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import { requireUnambiguous } from './ambiguity.ts'
import { type ErrorBody, standbyError } from './answer.ts'
import type { Crowd } from './crowd.ts'
import type { CurrentApplication } from './currentApplication.ts'
import { type FlatHeaders, fromClient } from './headers.ts'
import type { RemoteLeader } from './remoteLeader.ts'
import { targetOf } from './requestTarget.ts'
import type { Route, Routes } from './routes.ts'
import type { StartGate } from './startGate.ts'
import type { UnderWay } from './underWay.ts'
import {
  isRelayed,
  refuseUpgrade,
  relayUpgrade,
  takeAsRequest,
  type UpgradeTarget,
} from './upgradeRelay.ts'
import { Upgrading } from './upgrading.ts'
import type { WriteGate } from './writeGate.ts'

export interface ProxyUpgradesParts {
  readonly routes: Routes
  /** Id of this node. */
  node(): string
  readonly view: DatabaseView
  readonly admission: WriteGate
  readonly application: CurrentApplication
  readonly remote: RemoteLeader
  /** How many may come in. */
  readonly crowd: Crowd
  readonly limits: { readonly holdMs: number }
  /** Where clients find the leader. */
  primaryUrl(): string | undefined
  /** What a client may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
  onRequest(route: Route): void
  /** This node answered with an error. */
  onRefused(error: WalcastError): void
}

export class ProxyUpgrades {
  readonly #parts: ProxyUpgradesParts
  readonly #server: Server
  readonly #start: StartGate
  readonly #requests: UnderWay<ServerResponse>
  readonly #open = new Set<Socket>()

  /** `requests`: answers under way at `server`. */
  constructor(
    parts: ProxyUpgradesParts,
    server: Server,
    start: StartGate,
    requests: UnderWay<ServerResponse>,
  ) {
    this.#parts = parts
    this.#server = server
    this.#start = start
    this.#requests = requests
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#take(request, socket, head),
    )
  }

  /** Connections that are upgraded, or wait for it. */
  get size(): number {
    return this.#open.size
  }

  end(): void {
    for (const socket of this.#open) socket.end()
  }

  cut(): void {
    for (const socket of this.#open) socket.destroy()
  }

  #take(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const before = this.#requests.newest(({ req }) => req.socket === socket)
    // Node's server does not keep the order here: the answer would be lost, or overtake others.
    if (before)
      before.once('close', () => !socket.destroyed && this.#takeInTurn(request, socket, head))
    else this.#takeInTurn(request, socket, head)
  }

  #takeInTurn(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (!isRelayed(request)) return takeAsRequest(this.#server, request, socket, head)
    this.#relay(request, socket, head).catch((error) => {
      const known = asWalcastError(error)
      this.#parts.onRefused(known)
      refuseUpgrade(socket, known, {}, {}, this.#parts.bodyOf)
    })
  }

  /** Throws why the upgrade is refused. */
  async #relay(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const { view, remote, limits, crowd, application } = this.#parts
    const path = targetOf(request)
    const client = new Upgrading(socket)
    crowd.admitUpgrade(request, socket)
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    if (!this.#start.isOpen && !(await client.waitFor(this.#start.wait(client)))) return
    const route = this.#requireRoute(request, path)
    const headers = fromClient(request, crowd.originOf(request))
    const isForLeader = route === 'forward'
    for (const endMs = client.heldUntilMs(limits.holdMs); ; ) {
      if (isForLeader) await client.waitFor(this.#untilTaken(client, endMs))
      const isHere = !isForLeader || view.role() === 'leader'
      if (isHere) await client.waitFor(this.#untilAccepted(client, endMs, isForLeader))
      if (client.isGone) return
      if (isForLeader && isHere !== (view.role() === 'leader')) continue
      const target = isHere ? this.#own(path, headers) : remote.upgrade(path, headers, endMs)
      const notTaken = target
        ? await relayUpgrade(request, socket, head, target)
        : 'no leader is known'
      if (notTaken === undefined) return
      if (isHere) application.watch.onUnreachable(notTaken)
      else if (view.role() !== 'leader') remote.gate.close(notTaken)
    }
  }

  /** Throws why the upgrade is refused. */
  #requireRoute(request: IncomingMessage, path: string): Route {
    const { routes, view, onRequest, primaryUrl } = this.#parts
    requireUnambiguous(request)
    const route = routes.routeOf('GET', path)
    onRequest(route)
    if (route === 'own') throw new WalcastError('NOT_FOUND', { path })
    if (this.#start.isStopping) throw new WalcastError('STOPPING')
    if (view.role() === 'standby') throw standbyError(primaryUrl())
    return route
  }

  /**
   * Waits until the leader, this node or another one, takes what would be a write. Throws
   * LEADER_AWAY, LEADER_ALONE or TOO_MANY_HELD.
   */
  async #untilTaken(client: Upgrading, endMs: number): Promise<void> {
    const { view, admission, remote } = this.#parts
    while (view.role() === 'leader' && admission.refuse() && !client.isGone)
      await admission.admit(client)
    if (view.role() === 'leader' || client.isGone) return
    const isOpen = await remote.gate.wait(endMs - monotonicMs(), client.gone)
    if (!isOpen && !client.isGone) throw remote.forwarder.leaderAway()
  }

  /**
   * Waits until this node's application takes an upgrade, or the role has changed. Throws
   * APP_UNREACHABLE or TOO_MANY_HELD.
   */
  async #untilAccepted(client: Upgrading, endMs: number, isWrite: boolean): Promise<void> {
    const { application, view } = this.#parts
    const { watch } = application
    const role = view.role()
    for (let unable = watch.refuse(isWrite); unable; unable = watch.refuse(isWrite)) {
      const isOpen = await watch.wait(client, endMs, isWrite)
      if (client.isGone || view.role() !== role) return
      if (!isOpen) throw unable
    }
  }

  /** The application of this node. Throws NO_APPLICATION. */
  #own(path: string, headers: FlatHeaders): UpgradeTarget {
    const { application, node, bodyOf } = this.#parts
    const { url: origin } = application
    if (origin === undefined) throw new WalcastError('NO_APPLICATION')
    return { origin, path, headers, node: node(), canWait: true, bodyOf }
  }
}
