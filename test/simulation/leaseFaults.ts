/** What befalls a simulated cluster that fails over by itself, beside what `faults.ts` has. */
import type { LockService } from './lockService.ts'
import { NOBODY } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { World } from './world.ts'

const EVERY_MS = [1000, 9000] as const
/** Less and more than a TTL. */
const FOR_MS = [200, 1000, 4000, 12_000]
const FROZEN_MS = [100, 800, 1900, 4000]

export class LeaseFaults {
  readonly #world: Pick<World, 'scheduler' | 'network' | 'nodes' | 'leaders' | 'trace'>
  readonly #random: SeededRandom
  readonly #service: LockService
  #isOver = false

  constructor(world: World, service: LockService, random: SeededRandom) {
    this.#world = world
    this.#service = service
    this.#random = random
  }

  start(): void {
    this.#service.isTroubled = true
    this.#later()
  }

  end(): void {
    this.#isOver = true
    this.#service.isTroubled = false
    this.#service.heal()
  }

  #later(): void {
    this.#after(this.#random.between(...EVERY_MS), () => {
      if (this.#isOver) return
      this.#strike()
      this.#later()
    })
  }

  #strike(): void {
    const { nodes, leaders } = this.#world
    const dice = this.#random.random()
    const isLeader = leaders.length > 0 && this.#random.isTrue(0.6)
    const struck = this.#random.pick(isLeader ? leaders : nodes)
    if (dice < 0.25) return this.#forAWhile(() => this.#service.cutFrom(struck.id))
    if (dice < 0.4) return this.#forAWhile(() => this.#service.goAway())
    if (dice < 0.55) return this.#partFromAll(struck)
    if (dice < 0.6) return this.#strand(this.#random.pick(nodes))
    if (dice < 0.65) {
      this.#service.cutFrom(struck.id)
      return this.#partFromAll(struck)
    }
    if (dice < 0.85) return struck.freeze(this.#random.between(0, 2 * this.#random.pick(FROZEN_MS)))
    if (dice < 0.92) return this.#kill(struck)
    if (dice < 0.96) return this.#service.revoke()
    this.#service.restartEmpty()
  }

  /** One falls behind, and is then the only one that is there. */
  #strand(behind: SimulatedNode): void {
    const { network, nodes, trace } = this.#world
    const others = nodes.filter((node) => node !== behind)
    trace.add('world', `${behind.id} falls behind`)
    for (const other of others) network.part(behind.address, other.address)
    this.#after(this.#random.between(500, 3000), () => {
      for (const other of others) other.kill()
      this.#after(this.#random.between(3000, 9000), () => {
        network.heal()
        for (const other of others) if (!other.isUp) other.start()
      })
    })
  }

  #partFromAll(struck: SimulatedNode): void {
    const { network, nodes, trace } = this.#world
    trace.add('world', `${struck.id} is parted from all others`)
    for (const other of nodes) if (other !== struck) network.part(struck.address, other.address)
    this.#forAWhile(() => {})
  }

  #kill(struck: SimulatedNode): void {
    struck.kill()
    this.#after(this.#random.between(10, 8000), () => {
      if (!struck.isUp) struck.start()
    })
  }

  #forAWhile(begin: () => void): void {
    begin()
    this.#after(this.#random.between(0, 2 * this.#random.pick(FOR_MS)), () => {
      this.#service.heal()
      this.#world.network.heal()
    })
  }

  #after(afterMs: number, act: () => void): void {
    this.#world.scheduler.after(afterMs, act, NOBODY)
  }
}
