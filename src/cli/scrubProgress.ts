/**
 * How far nodes are that read all their pages, by what their statuses say. They count together: the
 * command waits for the last one.
 */
import type { NodeTarget } from './nodeTarget.ts'
import type { Progress } from './progress.ts'
import type { ProgressOutput } from './progressOutput.ts'
import { count, fields } from './shape.ts'
import { StatusWatch } from './statusWatch.ts'

export interface ToldScrub {
  readonly pageSize: number
  readonly pages: number
  readonly scrub?: { readonly running?: { readonly page: number } }
}

/** Of a status. An older node does not tell of a pass that was asked for. */
const TOLD = fields(
  { pageSize: count, pages: count },
  { scrub: fields({}, { running: fields({ page: count }) }) },
)

/** What all nodes together have read. */
export class ScrubCount<Node> {
  readonly #nodes: readonly Node[]
  /** In bytes. */
  readonly #reads = new Map<Node, { readonly done: number; readonly total: number }>()
  readonly #done = new Set<Node>()

  constructor(nodes: readonly Node[]) {
    this.#nodes = nodes
  }

  hear(node: Node, { pageSize, pages, scrub }: ToldScrub): void {
    const page = scrub?.running?.page ?? 0
    this.#reads.set(node, { done: page * pageSize, total: pages * pageSize })
  }

  onDone(node: Node): void {
    this.#done.add(node)
  }

  /** One that ended before it told its size does not count; any other may have any size. */
  get progress(): Progress {
    let [done, total] = [0, 0]
    for (const [node, read] of this.#reads) {
      done += this.#done.has(node) ? read.total : read.done
      total += read.total
    }
    const isKnown = this.#nodes.every((node) => this.#reads.has(node) || this.#done.has(node))
    const phase = 'reading every page'
    return { phase, done, total: isKnown ? total : undefined, unit: 'bytes' }
  }
}

export class ScrubProgress {
  readonly #output: ProgressOutput
  readonly #count: ScrubCount<NodeTarget>
  readonly #watch: StatusWatch<ToldScrub>
  #left: number

  constructor(nodes: readonly NodeTarget[], output: ProgressOutput) {
    this.#output = output
    this.#count = new ScrubCount(nodes)
    this.#left = nodes.length
    this.#watch = new StatusWatch<ToldScrub>(nodes, TOLD, (node, told) => {
      this.#count.hear(node, told)
      this.#output.show(this.#count.progress)
    })
  }

  onDone(node: NodeTarget): void {
    this.#count.onDone(node)
    this.#watch.leave(node)
    if (--this.#left === 0) this.#output.end()
  }
}
