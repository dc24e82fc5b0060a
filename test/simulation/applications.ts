/**
 * The applications beside the nodes, and which of several leaders is the cluster's: the one before
 * whom every other one gives way. Its commits must last; those that another leader lets in beside
 * it are lost once the two meet.
 */
import assert from 'node:assert/strict'
import type { Claim } from '../../src/roles/election/precedence.ts'
import { Application, type ApplicationParts } from './application.ts'
import type { CommittedStates } from './committedStates.ts'
import type { LeasedWrites } from './leasedWrites.ts'
import type { MemorySqlite } from './memorySqlite.ts'
import { NOBODY } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { Witness } from './witness.ts'

export interface ApplicationsParts
  extends Omit<ApplicationParts, 'id' | 'database' | 'mayWrite' | 'onBegun' | 'random'> {
  readonly states: CommittedStates
  readonly witness: Witness
  /** Of nodes that fail over by themselves, through which alone clients write; else undefined. */
  readonly leased: LeasedWrites | undefined
  readonly database: (node: SimulatedNode) => MemorySqlite
  readonly randomOf: (node: SimulatedNode) => SeededRandom
}

export class Applications {
  readonly #parts: ApplicationsParts
  readonly #all = new Map<SimulatedNode, Application>()
  /** The cluster's leader, or the last one. */
  #main: SimulatedNode
  /** Those that an operator has promoted, until they follow again. */
  readonly #promoted = new Set<SimulatedNode>()
  #areOver = false

  /** `first` leads first. */
  constructor(parts: ApplicationsParts, first: SimulatedNode) {
    this.#parts = parts
    this.#main = first
  }

  get main(): SimulatedNode {
    return this.#main
  }

  start(): void {
    this.#of(this.#main).write(this.#parts.states.main)
  }

  /** Nobody writes any more. */
  end(): void {
    this.#areOver = true
    for (const application of this.#all.values()) application.end()
  }

  /** An operator is about to promote it: it may lead without all that was committed. */
  onPromotion(node: SimulatedNode): void {
    this.#promoted.add(node)
  }

  /** Its application may write. */
  onLeads(node: SimulatedNode): void {
    const { states, witness, trace } = this.#parts
    const checksum = node.process?.leader?.status.checksum ?? ''
    const commit = states.numberOf(checksum)
    witness.check(() => assert.ok(commit !== undefined, `${node.id} leads with no commit`))
    if (commit === undefined) return
    // Whatever becomes of the node, its application is a process of its own.
    this.#parts.scheduler.as(NOBODY, () => {
      if (node === this.#main) return this.#write(node, checksum)
      const claim = claimOf(node)
      const rival = claimOf(this.#main)
      if (isBefore(claim, rival)) {
        witness.onTwo()
        trace.add(node.id, `leads from commit ${commit} beside ${rival.node}, which goes before it`)
        return this.#write(node, checksum)
      }
      trace.add(node.id, `leads from commit ${commit} of ${states.last}`)
      this.#takeOver(node, checksum)
    })
  }

  /** Its application is told to write elsewhere. */
  onFollows(node: SimulatedNode): void {
    this.#promoted.delete(node)
    this.#parts.scheduler.as(NOBODY, () => this.#all.get(node)?.end())
  }

  /** Is the cluster's leader from now on. */
  #takeOver(node: SimulatedNode, checksum: string): void {
    const { states, witness } = this.#parts
    const before = this.#main
    this.#main = node
    // Of a promotion the other one may not know: it leads on until the two meet, and so does its
    // application.
    const isPromoted = this.#promoted.has(node)
    if (!before.process?.leader) this.#all.get(before)?.end()
    else if (isPromoted) witness.onTwo()
    states.main.isHandedOver = !isPromoted
    if (checksum === states.checksum) states.goOnFrom(checksum)
    else this.#lose(node, checksum)
    this.#write(node, checksum)
  }

  /** What was committed after the state that this node has is lost. */
  #lose(node: SimulatedNode, checksum: string): void {
    const { states, witness, leased } = this.#parts
    const isMeant = this.#promoted.has(node)
    const number = states.numberOf(checksum) ?? 0
    witness.check(() => {
      if (leased) leased.onLost(node.id, number)
      else assert.ok(isMeant, `${node.id} leads without all that was committed`)
    })
    witness.onLost(node, number)
    states.goOnFrom(checksum)
  }

  #write(node: SimulatedNode, checksum: string): void {
    const { states } = this.#parts
    if (this.#areOver) return
    const application = this.#of(node)
    if (node === this.#main) {
      if (!application.isWriting && checksum !== states.checksum) this.#lose(node, checksum)
      return application.write(states.main)
    }
    // A leader that starts again may have to capture on: its application has gone on.
    if (!application.isWriting) application.write(states.branchFrom(checksum))
  }

  #of(node: SimulatedNode): Application {
    const known = this.#all.get(node)
    if (known) return known
    const { leased, witness } = this.#parts
    const application = new Application({
      ...this.#parts,
      id: node.id,
      database: this.#parts.database(node),
      random: this.#parts.randomOf(node),
      mayWrite: () => (leased ? (node.process?.takesWrites ?? false) : mayWrite(node)),
      onBegun: () => leased && witness.check(() => leased.onAccepted(node)),
    })
    this.#all.set(node, application)
    return application
  }
}

/** While its node is down, it takes it for what it was. */
function mayWrite({ process, record, first }: SimulatedNode): boolean {
  return process?.isUp || (record ?? first).role === 'leader'
}

function claimOf({ id, record }: SimulatedNode): Claim {
  const { epoch, term } = record ?? { epoch: 0, term: 0 }
  return { node: id, epoch, term }
}

/** Two promotions that know nothing of each other may begin the same epoch: then the ids decide. */
function isBefore(one: Claim, other: Claim): boolean {
  if (one.term !== other.term) return one.term < other.term
  if (one.epoch !== other.epoch) return one.epoch < other.epoch
  return one.node < other.node
}
