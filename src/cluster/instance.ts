/**
 * Which process this node is. Ids in files come with every copy of them, so two processes may have one node id; each draws a
 * random id of its own. Of two, the one that came second does not serve.
 */
import { randomBytes } from 'node:crypto'

/** Another process that has this node's id, as it says itself. */
export interface Twin {
  /** Random id of that process. */
  readonly instance: string
  /** How long it has been up, ms, by its own clock. */
  readonly upMs: number
}

/** Of two that came up within this time the ids decide: the time of a call lies between what they tell each other. */
const TOGETHER_MS = 1000

export class Instance {
  /** Random id of this process. */
  readonly id = randomBytes(8).toString('hex')
  readonly #beganMs: number
  readonly #monotonicMs: () => number

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs
    this.#beganMs = monotonicMs()
  }

  /** How long this node has been up, ms. */
  get upMs(): number {
    return this.#monotonicMs() - this.#beganMs
  }

  /**
   * Whether this process is the one that does not serve. Exactly one of two is, unless their uptimes differ by a second to within the time
   * of a call: then it may be both or neither.
   */
  yieldsTo({ instance, upMs }: Twin): boolean {
    const longerMs = upMs - this.upMs
    return Math.abs(longerMs) < TOGETHER_MS ? this.id < instance : longerMs > 0
  }
}
