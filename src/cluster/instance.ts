/**
 * Which process this node is. Ids in files come with every copy of them, so two processes may have
 * one node id; each draws a random id of its own. Of two, the younger does not serve.
 */
import { randomBytes } from '../platform/random.ts'

/** Another process that has this node's id, as it says itself. */
export interface Twin {
  /** Random id of that process. */
  readonly instance: string
  /** How long it has been up, ms, by its own clock. */
  readonly upMs: number
}

/**
 * Of two that came up within this time the ids decide: the time of a call lies between what they
 * tell each other.
 */
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
   * Whether this process is the one that does not serve. At the edge of the time within which ids
   * decide, both may take themselves for the first: each is told of the other then (`isTold`), and
   * the times alone decide.
   */
  yieldsTo({ instance, upMs }: Twin, isTold = false): boolean {
    const longerMs = upMs - this.upMs
    const isTogether = Math.abs(longerMs) < (isTold ? TOGETHER_MS / 2 : TOGETHER_MS)
    return isTogether ? this.id < instance : longerMs > 0
  }
}
