/**
 * Clients that write through the nodes of a simulated cluster that fails over by itself, and keep
 * what they were answered: each accepted write with its epoch and node, in the order of true time,
 * and each that was acknowledged. They say what must not be.
 */
import assert from 'node:assert/strict'
import type { CommittedStates } from './committedStates.ts'
import type { SimulatedNode } from './simulatedNode.ts'

export class LeasedWrites {
  readonly #states: CommittedStates
  #last: { readonly epoch: number; readonly node: string } | undefined
  /** The newest commit that was acknowledged. */
  #acknowledged = 0
  /** Accepted, in all; and changes of who accepts. */
  count = 0
  moves = 0

  constructor(states: CommittedStates) {
    this.#states = states
  }

  /** A write is let in there at this moment. */
  onAccepted({ id, record }: SimulatedNode): void {
    const epoch = record?.epoch ?? 0
    const last = this.#last
    const now = `${id} lets a write in, in epoch ${epoch}`
    if (last && last.node !== id) {
      assert.ok(epoch > last.epoch, `${now}; ${last.node} has, in epoch ${last.epoch}`)
      this.moves++
    }
    assert.ok(epoch >= (last?.epoch ?? 0), `${now}, after epoch ${last?.epoch}`)
    this.#last = { epoch, node: id }
    this.count++
  }

  /**
   * Gives what to call when the commit with this state, the newest there, is acknowledged to a
   * client.
   */
  wait(id: string, checksum: string): () => void {
    const number = this.#states.numberOf(checksum)
    return () => {
      if (number === undefined) return
      const what = `commit ${number} is acknowledged by ${id}`
      assert.equal(this.#states.numberOf(checksum), number, `${what}, and is lost by then`)
      this.#acknowledged = Math.max(this.#acknowledged, number)
    }
  }

  /** Nothing after commit `number` is there any more. */
  onLost(id: string, number: number): void {
    const what = `${id} leads from commit ${number}`
    assert.ok(number >= this.#acknowledged, `${what}; ${this.#acknowledged} was acknowledged`)
  }
}
