/**
 * Places a leader and a replica at the two ends of a Link. The bench itself stays outside: it asks
 * the nodes through a Unix socket, which belongs to no network, passed on by a relay inside the
 * namespace.
 */
import { NamespaceDoors } from './namespaceDoor.ts'
import type { Link } from './netns.ts'
import type { NodePlace, Placement } from './placement.ts'
import type { Child } from './processes.ts'
import { type Context, resultOf } from './suite.ts'

/** Nothing else listens in a new namespace. */
const NODE_PORT = 8470
const DELAY_PORT = 8471
const READY_TIMEOUT_MS = 30_000

export class LinkPlacement {
  readonly #doors: NamespaceDoors
  readonly #link: Link
  readonly #secret: string
  #delay: Child | undefined

  constructor(context: Context, link: Link, secret: string) {
    this.#doors = new NamespaceDoors(context)
    this.#link = link
    this.#secret = secret
  }

  /**
   * From now on replicas reach the leader through a relay that holds everything back, in the
   * replica's namespace.
   */
  async delay(delayMs: number): Promise<void> {
    const { leader, replica } = this.#link
    const listen = `127.0.0.1:${DELAY_PORT}`
    const to = `${leader.address}:${NODE_PORT}`
    this.#delay = await this.#doors.relay(replica, listen, to, delayMs)
  }

  readonly placeOf: Placement = async (node): Promise<NodePlace> => {
    const namespace = node === 'leader' ? this.#link.leader : this.#link.replica
    const listen = `${namespace.address}:${NODE_PORT}`
    // Beyond loopback nodes take only TLS.
    const url = `https://127.0.0.1:${await this.#doors.open(node, namespace, listen)}`
    const leader = this.#delay
      ? `127.0.0.1:${DELAY_PORT}`
      : `${this.#link.leader.address}:${NODE_PORT}`
    return { listen, url, leader, prefix: namespace.prefix, secret: this.#secret }
  }

  /**
   * Median time for which the delaying relay held what it passed on; undefined without one. Ends
   * the relay.
   */
  async heldP50Ms(): Promise<number | undefined> {
    if (!this.#delay) return undefined
    await this.#delay.stop()
    return (await resultOf(this.#delay, READY_TIMEOUT_MS, ['heldP50Ms'])).heldP50Ms
  }

  async close(): Promise<void> {
    await this.#doors.close()
  }
}
