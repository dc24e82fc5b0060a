/** The counters of a node that the demo shows, from its Prometheus text. */

export interface Counts {
  readonly frames: number
  readonly bytes: number
  /** Copies and comparisons finished. */
  readonly syncs: number
}

const NAMES: Readonly<Record<keyof Counts, readonly string[]>> = {
  frames: ['walcast_capture_frames_total', 'walcast_apply_pages_total'],
  bytes: ['walcast_send_bytes_total', 'walcast_receive_bytes_total'],
  syncs: ['walcast_syncs_total'],
}

const NO_COUNTS: Counts = { frames: 0, bytes: 0, syncs: 0 }

export function countsIn(text: string): Counts {
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^(walcast_\w+) (\S+)$/.exec(line)
    if (match) values.set(match[1], Number(match[2]))
  }
  const sum = (names: readonly string[]) =>
    names.reduce((total, name) => total + (values.get(name) ?? 0), 0)
  return { frames: sum(NAMES.frames), bytes: sum(NAMES.bytes), syncs: sum(NAMES.syncs) }
}

/** Adds up the counters of a node's processes, each of which starts at 0. */
export class Tally {
  #before: Counts = NO_COUNTS
  #now: Counts = NO_COUNTS

  get total(): Counts {
    return addCounts(this.#before, this.#now)
  }

  /** Counts of the current process. */
  get now(): Counts {
    return this.#now
  }

  set(counts: Counts): void {
    this.#now = counts
  }

  onRestart(): void {
    this.#before = this.total
    this.#now = NO_COUNTS
  }
}

function addCounts(a: Counts, b: Counts): Counts {
  return { frames: a.frames + b.frames, bytes: a.bytes + b.bytes, syncs: a.syncs + b.syncs }
}
