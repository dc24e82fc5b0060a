/**
 * The operator of a simulated cluster: has leadership handed over now and then, promotes a replica
 * when nobody leads or the leader is down, and promotes one by force while the network is parted
 * and the leader lives on. The nodes' own roles do the rest.
 */
import { isFurther } from '../../proto/position.ts'
import { keyOf, messageOf } from '../../src/errors.ts'
import type { RoleRequests } from '../../src/roles/roleRequests.ts'
import { NOBODY } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { World } from './world.ts'

/** Between two moves. */
const MOVE_MS = [300, 4000] as const
/** Between two looks at who leads. */
const LOOK_MS = 1000
/** So many looks without a leader precede a promotion. */
const PATIENCE = 3
/** What was under way when a leader died has arrived by then. */
const ARRIVED_MS = 300
/** How long a leader that is down is kept down for a promotion in its place. */
const HELD_DOWN_MS = 5000
const BY = 'an operator (console)'
/** Of all moves. */
const FORCED = 0.2
const DEMOTED = 0.1
/** Of those by force. */
const TWICE = 0.3
const ALL_PARTED = 0.7

export class Operator {
  readonly #world: Pick<
    World,
    'scheduler' | 'network' | 'nodes' | 'leaders' | 'applications' | 'witness' | 'trace'
  >
  readonly #random: SeededRandom
  #leaderless = 0
  #isOver = false

  constructor(world: World, random: SeededRandom) {
    this.#world = world
    this.#random = random
  }

  start(): void {
    this.#moveLater()
    this.#look()
  }

  /** From now on it only sees to it that somebody leads. */
  end(): void {
    this.#isOver = true
  }

  #after(afterMs: number, act: () => void): void {
    this.#world.scheduler.after(afterMs, act, NOBODY)
  }

  #moveLater(): void {
    this.#after(this.#random.between(...MOVE_MS), () => {
      if (this.#isOver) return
      this.#move()
      this.#moveLater()
    })
  }

  #move(): void {
    const { leaders, nodes, applications } = this.#world
    const [from] = leaders
    const to = this.#random.pick(nodes)
    const dice = this.#random.random()
    if (!from || to === from) return
    if (dice < FORCED) return this.#force(from, to)
    if (dice < FORCED + DEMOTED)
      return void this.#ask(from, 'is demoted', (its) =>
        its.demote({ leader: undefined, epoch: undefined }, BY),
      )
    // One that does not know yet that another leads: what that one has let in is lost.
    if (from !== applications.main) applications.onPromotion(to)
    void this.#ask(from, `is to hand over to ${to.id}`, (its) =>
      its.switchover({ to: to.id, timeoutMs: undefined }, BY),
    )
  }

  /**
   * Parts the leader from others, and has one of those lead beside it; or two, which know nothing
   * of each other.
   */
  #force(from: SimulatedNode, to: SimulatedNode): void {
    const { nodes, network, trace } = this.#world
    const isTwice = this.#random.isTrue(TWICE)
    const others = nodes.filter((node) => node !== from && node !== to)
    for (const other of others) if (this.#random.isTrue(ALL_PARTED)) this.#part(from, other)
    this.#part(from, to)
    if (isTwice) for (const other of others) this.#part(to, other)
    for (const node of isTwice ? [to, ...others] : [to])
      this.#after(this.#random.between(100, 2000), () => void this.#promote(node, true))
    this.#after(this.#random.between(500, 5000), () => {
      trace.add('world', 'the network is healed')
      network.heal()
    })
  }

  #part(one: SimulatedNode, other: SimulatedNode): void {
    const { network, trace } = this.#world
    trace.add('world', `${one.id} and ${other.id} are parted`)
    network.part(one.address, other.address)
  }

  #look(): void {
    this.#after(LOOK_MS, () => this.#look())
    const { nodes } = this.#world
    const isLeaderless = nodes.every(
      ({ process, record }) => process?.isUp && record?.role === 'replica',
    )
    this.#leaderless = isLeaderless ? this.#leaderless + 1 : 0
    if (this.#leaderless >= PATIENCE) {
      this.#leaderless = 0
      const best = furthest(nodes)
      if (best) void this.#promote(best, false)
    }
    this.#failOver()
  }

  /** The node that leads by its role file is down, and all others are there. */
  #failOver(): void {
    const { nodes, network, scheduler, applications } = this.#world
    const lost = applications.main
    const others = nodes.filter((node) => node !== lost)
    const isLost = !lost.isUp && !lost.isHeldDown && lost.record?.role === 'leader'
    const areThere = others.every(({ process }) => process?.isUp && process.replica)
    const isOld = scheduler.elapsedMs - lost.downSinceMs > ARRIVED_MS
    const isWhole = network.isWholeSince(lost.downSinceMs - ARRIVED_MS)
    if (!isLost || !areThere || !isOld || !isWhole || !this.#random.isTrue(0.5)) return
    const best = furthest(others)
    if (!best) return
    lost.isHeldDown = true
    const release = () => {
      lost.isHeldDown = false
    }
    void this.#promote(best, true, () => this.#world.witness.requireNothingLost(best)).then(release)
    // The one that was to lead may die over it.
    this.#after(HELD_DOWN_MS, release)
  }

  /** `onLeading`: it leads by now. */
  #promote(node: SimulatedNode, force: boolean, onLeading = () => {}): Promise<void> {
    const { witness, applications, nodes } = this.#world
    witness.forgetLoss(node)
    const how = { force, dryRun: false }
    return this.#ask(node, force ? 'is promoted by force' : 'is promoted', async (its) => {
      if (force || nodes.every(({ isUp }) => isUp)) applications.onPromotion(node)
      const { unheard } = await its.promote(how, BY)
      if (!force && unheard.length === 0) witness.requireNothingLost(node)
      onLeading()
    })
  }

  /** Resolves when it is decided, unless the process dies. */
  #ask(
    node: SimulatedNode,
    what: string,
    work: (its: RoleRequests) => Promise<unknown>,
  ): Promise<void> {
    const { scheduler, trace, witness } = this.#world
    const { process } = node
    if (!process?.isUp) return Promise.resolve()
    trace.add(node.id, what)
    const failed = (error: unknown) => {
      trace.add(node.id, `a change of role has failed: ${messageOf(error)}`)
      if (keyOf(error) === undefined || keyOf(error) === 'INTERNAL') witness.fail(error)
    }
    return new Promise((resolve) => {
      const done = () => resolve()
      const ask = () => void work(process.requests).then(done, failed).then(done)
      scheduler.after(0, ask, process)
    })
  }
}

/** The one with the newest state, if it may lead at all. */
function furthest(nodes: readonly SimulatedNode[]): SimulatedNode | undefined {
  const [best] = [...nodes].sort((a, b) => (isFurther(at(a), at(b)) ? -1 : 1))
  const status = best?.process?.replica?.status
  return status?.hasCopy && status.isTrusted && status.state !== 'syncing' ? best : undefined
}

function at({ process }: SimulatedNode) {
  return process?.replica?.position ?? { epoch: 0, txid: 0 }
}
