/**
 * Knows which process has the id of which replica. Of two processes with one id, the one that has
 * been up for longer keeps it, wherever the two are fed. The other one is refused when it says
 * hello here. When another replica tells of it, it is refused once it is certain that there are
 * two.
 */
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import { type Heard, Processes, SILENCE_MS, type Twins } from './processes.ts'
import { RefusedProcesses } from './refusedProcesses.ts'
import type { ReplicaList } from './replicaList.ts'
import type { ReplicaSession } from './replicaSession.ts'

/** The node that feeds. */
export interface IdHost {
  readonly db: string
  readonly node: string
  /** Random id of this process. */
  readonly instance: string
  nowMs(): number
  source(): { readonly address: string }
  /** Two processes with one id were found; the later one is told to end. */
  onTwins(twins: Twins<unknown>): void
}

export class NodeIds {
  readonly #replicas: ReplicaList
  readonly #processes = new Processes<ReplicaSession>()
  readonly #refused = new RefusedProcesses()

  constructor(replicas: ReplicaList) {
    this.#replicas = replicas
  }

  /**
   * The address of the process that keeps the id against the one that says this; undefined when the
   * latter may be fed.
   */
  holderOf(
    hello: Pick<Body<'hello'>, 'node' | 'instance' | 'upMs'>,
    host: IdHost,
  ): string | undefined {
    return (
      this.#refused.holderOf(hello.instance, host.nowMs()) ??
      this.#replicas.holderOf(hello, SILENCE_MS)
    )
  }

  /** A replica tells of one that it feeds, directly or through others. */
  onBelow(session: ReplicaSession, told: Body<'below'>, host: IdHost): void {
    if (!told.connected) return
    const nowMs = host.nowMs()
    const { node, instance, address } = told
    const upSinceMs = nowMs - told.upMs
    const heardMs = nowMs - told.silentMs
    const here = this.#here(node, host, nowMs)
    // Word of either process may complete the time.
    const found = [
      ...(here ? [here] : []),
      { node, instance, upSinceMs, heardMs, address, via: session },
    ]
      .map((each) => this.#processes.heard(each, nowMs))
      .find((each) => each !== undefined)
    if (found) this.#separate(found, host)
  }

  #separate(twins: Twins<ReplicaSession>, host: IdHost): void {
    host.onTwins(twins)
    const { first, later } = twins
    this.end({ node: later.node, instance: later.instance, address: first.address }, host)
  }

  /**
   * Ends the process `instance`, because the one at `address` keeps the id. This node tells it, or
   * the replica that feeds it does.
   */
  end(
    { node, instance, address }: Omit<Body<'twin'>, 'db'>,
    host: Pick<IdHost, 'db' | 'nowMs'>,
  ): void {
    this.#refused.refuse(instance, address, host.nowMs())
    const session = this.#replicas.sessionOf(node)
    if (session?.instance === instance)
      return session.fail(new WalcastError('NODE_ID_TAKEN', { node, address }))
    this.#processes.viaOf(node, instance)?.tell('twin', { db: host.db, node, instance, address })
  }

  /**
   * The process with this id that is fed here, or is this one: this node never gives way to a
   * replica.
   */
  #here(node: string, host: IdHost, nowMs: number): Heard<ReplicaSession> | undefined {
    if (node === host.node) {
      const { instance } = host
      const { address } = host.source()
      return { node, instance, upSinceMs: -Infinity, heardMs: nowMs, address, via: undefined }
    }
    const session = this.#replicas.sessionOf(node)
    if (!session || session.state === 'closing' || session.state === 'closed') return undefined
    const { instance, upSinceMs, lastSeenMs: heardMs } = session
    const address = session.advertise || session.remoteAddress
    return { node, instance, upSinceMs, heardMs, address, via: session }
  }
}
