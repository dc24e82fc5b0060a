/**
 * From which position on a place is to have a snapshot. One that was under way when it was asked
 * for may be too old: then another one follows.
 */
import { isFurther, type Position } from '../../proto/position.ts'

const ANY: Position = { epoch: 0, txid: 0 }

export class SnapshotWish {
  #from: Position | undefined

  /** What is wanted now; undefined when nothing is. */
  get now(): Position | undefined {
    return this.#from
  }

  /** `from`: the node has it; undefined when any snapshot does. */
  want(from: Position = ANY): void {
    if (!this.#from || isFurther(from, this.#from)) this.#from = { ...from }
  }

  /**
   * A snapshot of `at` is in the place. `begunFor`: what was wanted when it began. What was wanted
   * by then is there, also where a failover has taken that very position out of the history.
   */
  onSnapshot(at: Position, begunFor: Position | undefined): void {
    if (this.#from === begunFor || (this.#from && !isFurther(this.#from, at)))
      this.#from = undefined
  }
}
