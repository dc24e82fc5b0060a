/** How far a copy of the leader's database is: the first one of a new node, or a resync. */
import type { DatabaseView } from '../api/databaseView.ts'
import { cancelTimer, setRepeatingTimer } from '../platform/time.ts'
import type { Progress } from './progress.ts'
import { ProgressOutput, type ProgressStream } from './progressOutput.ts'

/** What a node knows of its copy. */
export interface CopySample {
  readonly state: string
  /** In pages of `pageSize` bytes; undefined while nothing is copied. */
  readonly sync?: { readonly remaining: number; readonly total: number; readonly pageSize: number }
  /** 0 before the first copy. */
  readonly txid: number
  readonly lag: { readonly txidLag: number }
}

const LOOK_MS = 1000

/** Undefined while no pages are compared or copied. Pages that are equal count as done. */
export function copyProgress({ sync, txid }: CopySample): Progress | undefined {
  if (!sync || sync.total === 0 || sync.pageSize === 0) return undefined
  const total = sync.total * sync.pageSize
  const done = total - sync.remaining * sync.pageSize
  return { phase: txid === 0 ? 'first copy' : 'resync', done, total, unit: 'bytes' }
}

export function isLevel({ state, lag }: CopySample): boolean {
  return state === 'streaming' && lag.txidLag === 0
}

/** Tells of one copy after the other, and when each is level with the leader. */
export class CopyReport {
  readonly #output: ProgressOutput
  readonly #say: (text: string) => void
  #isUnderWay: boolean

  /** `isExpected`: a copy is on its way, even if it ends before it is first seen. */
  constructor(output: ProgressOutput, say: (text: string) => void, isExpected = false) {
    this.#output = output
    this.#say = say
    this.#isUnderWay = isExpected
  }

  look(sample: CopySample): void {
    const progress = copyProgress(sample)
    if (progress) {
      this.#isUnderWay = true
      this.#output.show(progress)
      return
    }
    // A copy that was cut off is not told of again and again.
    this.#output.end()
    if (!this.#isUnderWay || !isLevel(sample)) return
    this.#isUnderWay = false
    this.#say(`level with the leader at txid ${sample.txid}`)
  }
}

/**
 * While a node runs: on a terminal with a log for people a line that changes, else lines of the
 * log. The function that it gives ends it.
 */
export function reportCopies(
  view: Pick<DatabaseView, 'status'>,
  say: (text: string) => void,
  { hasBar, isExpected = false }: { readonly hasBar: boolean; readonly isExpected?: boolean },
): () => void {
  const lines: ProgressStream = {
    isTTY: false,
    columns: 0,
    write: (text: string | Uint8Array) => {
      say(String(text).trimEnd())
      return true
    },
  }
  const output = new ProgressOutput(false, hasBar ? process.stderr : lines)
  const report = new CopyReport(output, say, isExpected)
  const look = () => {
    let status: CopySample
    try {
      status = view.status()
    } catch {
      // A node that stops, or changes its role, may have none: that ends no node.
      return
    }
    report.look(status)
  }
  const timer = setRepeatingTimer(look, LOOK_MS).unref()
  look()
  return () => {
    cancelTimer(timer)
    output.end()
  }
}
