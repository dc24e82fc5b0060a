/**
 * Places a leader and a replica at the two ends of a Link. The bench itself stays outside: it asks
 * the nodes through a Unix socket, which belongs to no network, passed on by a relay inside the
 * namespace.
 */
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { Link, Namespace } from './netns.ts'
import type { NodePlace, Placement } from './placement.ts'
import type { Child } from './processes.ts'
import { type Context, resultOf } from './suite.ts'

/** Nothing else listens in a new namespace. */
const NODE_PORT = 8470
const DELAY_PORT = 8471
const READY_TIMEOUT_MS = 30_000

export class LinkPlacement {
  readonly #context: Context
  readonly #link: Link
  readonly #secret: string
  readonly #folder: string
  readonly #relays: Child[] = []
  readonly #doors: Server[] = []
  #delay: Child | undefined

  constructor(context: Context, link: Link, secret: string) {
    this.#context = context
    this.#link = link
    this.#secret = secret
    this.#folder = context.processes.newFolder()
  }

  /**
   * From now on replicas reach the leader through a relay that holds everything back, in the
   * replica's namespace.
   */
  async delay(delayMs: number): Promise<void> {
    const { leader, replica } = this.#link
    const listen = `127.0.0.1:${DELAY_PORT}`
    this.#delay = await this.#startRelay(replica, listen, `${leader.address}:${NODE_PORT}`, delayMs)
  }

  readonly placeOf: Placement = async (node): Promise<NodePlace> => {
    const namespace = node === 'leader' ? this.#link.leader : this.#link.replica
    const listen = `${namespace.address}:${NODE_PORT}`
    // Beyond loopback nodes take only TLS.
    const url = `https://127.0.0.1:${await this.#openDoor(node, namespace, listen)}`
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
    for (const door of this.#doors) door.close()
    await Promise.all(this.#relays.map((relay) => relay.stop()))
  }

  /** The loopback port on which the bench reaches a node in a namespace. */
  async #openDoor(node: string, namespace: Namespace, address: string): Promise<number> {
    const path = join(this.#folder, node)
    await this.#startRelay(namespace, path, address, 0)
    const door = createServer((near) => {
      const far = connect({ path })
      for (const [from, to] of [
        [near, far],
        [far, near],
      ])
        from
          .on('error', () => to.destroy())
          .on('close', () => to.destroySoon())
          .pipe(to)
    })
    this.#doors.push(door)
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
    const bound = door.address()
    if (typeof bound !== 'object' || !bound) throw new Error('no free port')
    return bound.port
  }

  async #startRelay(
    namespace: Namespace,
    listen: string,
    to: string,
    delayMs: number,
  ): Promise<Child> {
    const { processes, root } = this.#context
    const flags = ['--listen', listen, '--connect', to, '--delay-ms', String(delayMs)]
    const command = [process.execPath, join(root, 'dist/bench/programs/relay.js'), ...flags]
    const [file, ...args] = [...namespace.prefix, ...command]
    const relay = processes.start({ name: 'relay', file, args })
    this.#relays.push(relay)
    await relay.ready(READY_TIMEOUT_MS)
    relay.go()
    return relay
  }
}
