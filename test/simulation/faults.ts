/** What befalls a simulated cluster: partitions, cut connections, processes that die or stop. */
import { NOBODY } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { World } from './world.ts'

/** How often a process that is struck is the one that leads. */
const LEADER_STRUCK = 0.35
/** Writes to files within which a process that is to die does. */
const MOST_WRITES = 40

export class Faults {
  readonly #world: Pick<World, 'scheduler' | 'network' | 'requests' | 'nodes' | 'leaders' | 'trace'>
  readonly #random: SeededRandom
  #isOver = false

  constructor(world: World, random: SeededRandom) {
    this.#world = world
    this.#random = random
  }

  start(): void {
    this.#world.requests.isTroubled = true
    this.#later()
  }

  /** The network heals, and every node is up or comes up. */
  end(): void {
    this.#isOver = true
    this.#world.requests.isTroubled = false
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
    const { network, nodes, leaders, trace } = this.#world
    if (dice < 0.3) {
      const { connections } = network
      if (connections.length === 0) return
      const cut = this.#random.pick(connections)
      trace.add('world', `a connection of ${cut.host.address} is cut`)
      return network.cut(cut)
    }
    if (dice < 0.55) return this.#part()
    const others = nodes.filter((node) => !leaders.includes(node))
    const isLeader = this.#random.isTrue(LEADER_STRUCK)
    const meant = isLeader ? leaders : others
    const struck = this.#random.pick(meant.length > 0 ? meant : nodes)
    this.#restart(struck)
    if (dice < 0.7) struck.kill()
    else if (dice < 0.9) struck.killAtWrite(this.#random.whole(0, MOST_WRITES), 5000)
    else struck.stop()
  }

  #part(): void {
    const { network, nodes, scheduler, trace } = this.#world
    const one = this.#random.pick(nodes)
    const other = this.#random.pick(nodes.filter((node) => node !== one))
    trace.add('world', `${one.id} and ${other.id} are parted`)
    network.part(one.address, other.address)
    const forMs = this.#random.pick([50, 500, 2000, 8000])
    const heal = () => {
      trace.add('world', 'the network is healed')
      network.heal()
    }
    scheduler.after(this.#random.between(0, 2 * forMs), heal, NOBODY)
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
