/** What befalls a simulated cluster: partitions, cut connections, processes that die or stop. */
import { NOBODY } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { World } from './world.ts'

/** Writes to files within which a process that is to die does. */
const MOST_WRITES = 40

export class Faults {
  readonly #world: Pick<World, 'scheduler' | 'network' | 'nodes' | 'leader' | 'replicas' | 'trace'>
  readonly #random: SeededRandom
  #isOver = false

  constructor(world: World, random: SeededRandom) {
    this.#world = world
    this.#random = random
  }

  start(): void {
    this.#later()
  }

  /** The network heals, and every node is up or comes up. */
  end(): void {
    this.#isOver = true
    this.#world.trace.add('world', 'faults have ended')
    this.#world.network.heal()
    for (const node of this.#world.nodes) if (!node.isUp) node.start()
  }

  #later(): void {
    const { scheduler } = this.#world
    const everyMs = this.#random.pick([100, 1000, 3000])
    scheduler.after(
      this.#random.between(0, 2 * everyMs),
      () => {
        if (this.#isOver) return
        this.#strike()
        this.#later()
      },
      NOBODY,
    )
  }

  #strike(): void {
    const dice = this.#random.random()
    const { network, replicas, leader, trace } = this.#world
    const replica = this.#random.pick(replicas)
    if (dice < 0.3) {
      const [connection] = [this.#random.pick(network.connections)]
      if (!connection) return
      trace.add('world', `a connection of ${connection.host.address} is cut`)
      return network.cut(connection)
    }
    if (dice < 0.55) return this.#part(replica)
    const struck = this.#random.isTrue(0.2) ? leader : replica
    this.#restart(struck)
    if (dice < 0.7) struck.kill()
    else if (dice < 0.9) struck.killAtWrite(this.#random.whole(0, MOST_WRITES), 5000)
    else struck.stop()
  }

  #part(replica: SimulatedNode): void {
    const { network, leader, scheduler, trace } = this.#world
    trace.add('world', `${replica.id} is parted from the leader`)
    network.part(leader.address, replica.address)
    const forMs = this.#random.pick([50, 500, 2000, 8000])
    scheduler.after(
      this.#random.between(0, 2 * forMs),
      () => {
        trace.add('world', 'the network is healed')
        network.heal()
      },
      NOBODY,
    )
  }

  /** Once it is down. */
  #restart(node: SimulatedNode): void {
    const { scheduler } = this.#world
    const struck = node.process
    const look = () => {
      if (node.isUp && node.process === struck) return void scheduler.after(200, look, NOBODY)
      if (!node.isUp) node.start()
    }
    scheduler.after(this.#random.between(10, 3000), look, NOBODY)
  }
}
