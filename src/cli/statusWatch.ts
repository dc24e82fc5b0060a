/**
 * What nodes say of themselves while a question to them goes on, about once a second. A failure
 * tells nothing here: the question that goes on does.
 */
import { cancelTimer, setRepeatingTimer } from '../platform/time.ts'
import { getJson } from './nodeClient.ts'
import type { NodeTarget } from './nodeTarget.ts'
import type { Shape } from './shape.ts'

const STATUS_PATH = '/_walcast/status'
const ASK_MS = 1000

export class StatusWatch<Told> {
  readonly #shape: Shape
  readonly #hear: (node: NodeTarget, told: Told) => void
  readonly #left: Set<NodeTarget>
  readonly #asked = new Set<NodeTarget>()
  readonly #timer

  /** `shape`: of what `hear` reads of a status. */
  constructor(
    nodes: readonly NodeTarget[],
    shape: Shape,
    hear: (node: NodeTarget, told: Told) => void,
  ) {
    this.#left = new Set(nodes)
    this.#shape = shape
    this.#hear = hear
    this.#timer = setRepeatingTimer(() => this.#look(), ASK_MS).unref()
  }

  /** Nothing more is heard of this node. */
  leave(node: NodeTarget): void {
    this.#left.delete(node)
    if (this.#left.size === 0) cancelTimer(this.#timer)
  }

  #look(): void {
    for (const node of this.#left) if (!this.#asked.has(node)) void this.#ask(node)
  }

  async #ask(node: NodeTarget): Promise<void> {
    this.#asked.add(node)
    try {
      const told = await getJson<Told>(node, STATUS_PATH, process.env, this.#shape)
      if (this.#left.has(node)) this.#hear(node, told)
    } catch {
      // See above.
    } finally {
      this.#asked.delete(node)
    }
  }
}
