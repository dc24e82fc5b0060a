/**
 * The processes of the replicas that this node hears of, whoever feeds them. A copied folder brings
 * a node's id along: two processes of one id are told apart by the random id that each of them
 * draws.
 *
 *   unknown    -> alive       heard of
 *   alive      -> one of two  heard of beside another process of its id for BESIDE_MS
 *   one of two -> alive       told to end, as the later one
 *   alive      -> unknown     silent for SILENCE_MS
 *
 * The last word of a process that has crashed may come late, when its next process has begun: a
 * connection or a node in between stood still. Such a word makes a life longer by one silence at
 * most. So two lives count as two only when they lie beside each other for longer than that. A
 * process that goes on elsewhere is the same one.
 *
 * It sends and closes nothing itself.
 */

/**
 * How long a process may be silent: after that nothing is known of it. Replicas ask for the clock
 * every 2 s.
 */
export const SILENCE_MS = 6000
/** How long two processes are heard of beside each other before they count as two. */
export const BESIDE_MS = 10_000
/** It follows at most so many node ids. */
const MAX_NODES = 4096
/**
 * It follows at most so many processes of one node id: one that crashes again and again leaves
 * some.
 */
const MAX_LIVES = 8

/**
 * A process as it was last heard of. `Via`: the connection on which that was; undefined for this
 * node itself.
 */
export interface Heard<Via> {
  readonly node: string
  /** Random id of the process. */
  readonly instance: string
  /** When it came up, by this node's clock, ms. */
  readonly upSinceMs: number
  /** When it was last heard of, by this node's clock, ms. */
  readonly heardMs: number
  readonly address: string
  readonly via: Via | undefined
}

/** Two processes with one node id. */
export interface Twins<Via> {
  /** Keeps the id. */
  readonly first: Heard<Via>
  readonly later: Heard<Via>
}

interface Life<Via> extends Heard<Via> {
  /** Since when it was heard of without a longer silence. */
  readonly sinceMs: number
}

export class Processes<Via> {
  /** The id that was heard of longest ago comes first. */
  readonly #lives = new Map<string, readonly Life<Via>[]>()

  /**
   * A process was heard of. Gives two of its id when it has just become certain that there are two.
   */
  heard(process: Heard<Via>, nowMs: number): Twins<Via> | undefined {
    const { node, instance } = process
    if (instance === '') return undefined
    const alive = (this.#lives.get(node) ?? []).filter(
      ({ heardMs }) => nowMs - heardMs <= SILENCE_MS,
    )
    const known = alive.find((each) => each.instance === instance)
    const life = prolonged(known, process)
    const others = alive.filter((each) => each !== known)
    const other = others.find((each) => besideMs(each, life) >= BESIDE_MS)
    if (!other) {
      this.#keep(node, [...others, life])
      return undefined
    }
    const [first, later] = cameBefore(other, life) ? [other, life] : [life, other]
    // Should it go on all the same, it is told again after another such time.
    const again = { ...later, sinceMs: nowMs }
    this.#keep(
      node,
      [...others, life].map((each) => (each === later ? again : each)),
    )
    return { first, later }
  }

  /** The connection on which a process was last heard of. */
  viaOf(node: string, instance: string): Via | undefined {
    return this.#lives.get(node)?.find((each) => each.instance === instance)?.via
  }

  #keep(node: string, lives: readonly Life<Via>[]): void {
    this.#lives.delete(node)
    this.#lives.set(node, lives.slice(-MAX_LIVES))
    if (this.#lives.size <= MAX_NODES) return
    const [longestAgo] = this.#lives.keys()
    if (longestAgo !== undefined) this.#lives.delete(longestAgo)
  }
}

function prolonged<Via>(known: Life<Via> | undefined, process: Heard<Via>): Life<Via> {
  const sinceMs = known?.sinceMs ?? process.heardMs
  return {
    ...process,
    sinceMs,
    heardMs: Math.max(known?.heardMs ?? process.heardMs, process.heardMs),
  }
}

/** For how long both were heard of, ms. */
function besideMs(a: Life<unknown>, b: Life<unknown>): number {
  return Math.min(a.heardMs, b.heardMs) - Math.max(a.sinceMs, b.sinceMs)
}

/** Whether `a` keeps the id: its process has been up for longer. */
function cameBefore(a: Heard<unknown>, b: Heard<unknown>): boolean {
  return a.upSinceMs === b.upSinceMs ? a.instance > b.instance : a.upSinceMs < b.upSinceMs
}
