/**
 * How far nodes are that read all their pages, by what their statuses say. They count together: the
 * command waits for the last one.
 */
import type { NodeTarget } from './nodeTarget.ts'
import type { ProgressOutput } from './progressOutput.ts'
import { count, fields } from './shape.ts'
import { StatusWatch } from './statusWatch.ts'

interface Told {
  readonly pageSize: number
  readonly pages: number
  readonly scrub?: { readonly running?: { readonly page: number } }
}

/** Of a status. An older node does not tell of a pass that was asked for. */
const TOLD = fields(
  { pageSize: count, pages: count },
  { scrub: fields({}, { running: fields({ page: count }) }) },
)

export class ScrubProgress {
  readonly #nodes: readonly NodeTarget[]
  readonly #output: ProgressOutput
  /** In bytes. */
  readonly #reads = new Map<NodeTarget, { readonly done: number; readonly total: number }>()
  readonly #done = new Set<NodeTarget>()
  readonly #watch: StatusWatch<Told>

  constructor(nodes: readonly NodeTarget[], output: ProgressOutput) {
    this.#nodes = nodes
    this.#output = output
    this.#watch = new StatusWatch<Told>(nodes, TOLD, (node, told) => this.#heard(node, told))
  }

  onDone(node: NodeTarget): void {
    this.#done.add(node)
    this.#watch.leave(node)
    if (this.#done.size === this.#nodes.length) this.#output.end()
  }

  #heard(node: NodeTarget, { pageSize, pages, scrub }: Told): void {
    const page = scrub?.running?.page ?? 0
    this.#reads.set(node, { done: page * pageSize, total: pages * pageSize })
    const reads = this.#nodes.map((each) => {
      const read = this.#reads.get(each)
      return { done: (this.#done.has(each) ? read?.total : read?.done) ?? 0, total: read?.total }
    })
    const done = reads.reduce((sum, read) => sum + read.done, 0)
    // One that is done before it has told its size does not count; any other may have any size.
    const isKnown = this.#nodes.every((each) => this.#reads.has(each) || this.#done.has(each))
    const total = reads.reduce((sum, read) => sum + (read.total ?? 0), 0)
    const counted = { done, total: isKnown ? total : undefined }
    this.#output.show({ phase: 'reading every page', ...counted, unit: 'bytes' })
  }
}
