/**
 * The identity of this node's process. A copied node folder carries the node id along, so two
 * processes may have the same node id. Each process draws a random id of its own; of two with one
 * node id, the younger one does not serve.
 */
import { randomBytes } from '../platform/random.ts'

/** Another process with this node's id, as it describes itself. */
export interface Twin {
  /** Random id of that process. */
  readonly instance: string
  /** Its age by its own clock, ms. */
  readonly upMs: number
}

/**
 * When two processes start within this time of each other, the ids decide: the ages that they
 * report differ by the duration of a call.
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

  /** Age of this process, ms. */
  get upMs(): number {
    return this.#monotonicMs() - this.#beganMs
  }

  /**
   * Returns whether this process is the one that must not serve. At the edge of TOGETHER_MS each of
   * the two may take itself for the older one. `isTold`: the other one, or a third node, says that
   * the other is older. Then the ids decide over half that time.
   */
  yieldsTo({ instance, upMs }: Twin, isTold = false): boolean {
    const longerMs = upMs - this.upMs
    const isTogether = Math.abs(longerMs) < (isTold ? TOGETHER_MS / 2 : TOGETHER_MS)
    return isTogether ? this.id < instance : longerMs > 0
  }
}
