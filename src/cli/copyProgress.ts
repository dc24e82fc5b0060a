/** How far the first copy of a new node is, for the person who waits for it. */
import { rateText, sizeText } from '../health/causeText.ts'

/** What a node knows of its copy. */
export interface CopySample {
  readonly state: string
  /** In pages of `pageSize` bytes; undefined while nothing is copied. */
  readonly sync?: { readonly remaining: number; readonly total: number; readonly pageSize: number }
  readonly txid: number
  readonly lag: { readonly txidLag: number }
}

export interface CopyLine {
  readonly text: string
  /** Whether the copy is level, and no line follows. */
  readonly isLast: boolean
}

/** Of so many samples the rate is taken. */
const WINDOW = 10

interface Point {
  readonly atMs: number
  readonly bytes: number
}

/** How far something is that has a length, how fast it goes, and how long it takes yet. */
export class ByteProgress {
  readonly #what: string
  readonly #points: Point[] = []

  constructor(what: string) {
    this.#what = what
  }

  next(bytes: number, total: number, atMs: number): string {
    this.#points.push({ atMs, bytes })
    if (this.#points.length > WINDOW) this.#points.shift()
    const [first] = this.#points
    const seconds = (atMs - first.atMs) / 1000
    const perSecond = seconds > 0 ? (bytes - first.bytes) / seconds : 0
    const percent = total > 0 ? Math.floor((100 * bytes) / total) : 100
    const done = `${this.#what}: ${percent} %, ${sizeText(bytes)} of ${sizeText(total)}`
    if (perSecond <= 0) return done
    const left = Math.ceil((total - bytes) / perSecond)
    return `${done}, ${rateText(perSecond)}, ${timeText(left)} left`
  }
}

export class CopyProgress {
  readonly #progress = new ByteProgress('first copy')

  /** The line at that time; undefined while there is nothing to tell. */
  next({ state, sync, txid, lag }: CopySample, atMs: number): CopyLine | undefined {
    if (state === 'streaming' && lag.txidLag === 0)
      return { text: `level with the leader at txid ${txid}`, isLast: true }
    if (!sync || sync.total === 0 || sync.pageSize === 0) return undefined
    const total = sync.total * sync.pageSize
    const bytes = total - sync.remaining * sync.pageSize
    return { text: this.#progress.next(bytes, total, atMs), isLast: false }
  }
}

function timeText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`
}
