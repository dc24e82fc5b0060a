/**
 * Tells which incarnations of the leader followed from which, and so whether a position is part of
 * a history.
 *
 * A node that begins to lead in a process draws a random id, its incarnation. Epochs and txids are
 * numbers, and a restored backup brings them back; an incarnation is drawn once. Two histories
 * share what they had before their ids differ.
 */
import type { Position } from './position.ts'

/** How an incarnation began. */
export interface Incarnation {
  /** 16 hex digits. */
  readonly id: string
  readonly epoch: number
  /** The incarnation that it follows from; '' when that is not known. */
  readonly after: string
  readonly afterEpoch: number
  /** The state of `after` at this txid, and all that it had by then, is part of this one. */
  readonly txid: number
  /** Id of the node that leads in it. */
  readonly leader: string
  /**
   * Whether that is proven. False when it is assumed, for a database that was written while no node
   * ran.
   */
  readonly exact: boolean
}

/** In the order in which they became known, the newest last. */
export type Lineage = readonly Incarnation[]

/** Where a history stands: the last commit of an incarnation that is part of it. */
export interface HistoryPoint {
  /** '' when it is not known. */
  readonly incarnation: string
  readonly txid: number
}

/** The same, with its epoch: where a node stands. */
export interface Standing extends HistoryPoint, Position {}

/** The standing of a node without a database. */
export const NOWHERE: Standing = { epoch: 0, incarnation: '', txid: 0 }

/**
 * At most so many entries are kept: positions of incarnations before the oldest count as unknown.
 */
export const MAX_LINEAGE = 256
/** At most so many points of a history are sent. */
const MAX_TRAIL = 24

const ID = /^[0-9a-f]{16}$/

/** Whether `text` may be the id of an incarnation. */
export function isIncarnation(text: string): boolean {
  return ID.test(text)
}

/** With one more, each incarnation once, the oldest left out past MAX_LINEAGE. */
export function withIncarnation(lineage: Lineage, begun: Incarnation): Lineage {
  if (begun.after === begun.id) return lineage
  const at = lineage.findIndex(({ id }) => id === begun.id)
  return at < 0 ? [...lineage, begun].slice(-MAX_LINEAGE) : lineage.with(at, begun)
}

/** What a node knew, followed by all that it was told. At most MAX_LINEAGE entries. */
export function joined(known: Lineage, told: Lineage): Lineage {
  const ids = new Set(told.map(({ id }) => id))
  return [...known.filter(({ id }) => !ids.has(id)), ...told].slice(-MAX_LINEAGE)
}

/**
 * Leaves out the newest ones in which `leader` committed nothing before it stood at `txid`: their
 * positions are those of the incarnation before. So restarts without commits leave nothing. `kept`
 * stays: the newest stored position names it, and after a crash the next start goes by that
 * position.
 */
export function withoutIdle(lineage: Lineage, leader: string, txid: number, kept: string): Lineage {
  let end = lineage.length
  while (end > 0 && isIdle(lineage[end - 1], leader, txid)) end--
  return lineage.filter(({ id }, i) => i < end || id === kept)
}

function isIdle(begun: Incarnation, leader: string, txid: number): boolean {
  return begun.leader === leader && begun.exact && begun.after !== '' && begun.txid >= txid
}

/** A point of a history on the way back from its present end. */
export interface TrailPoint extends Standing {
  /** Whether every step from the present end to here is proven. */
  readonly isProven: boolean
}

/**
 * The history of a node that stands at `now`, the newest point first. An incarnation that had
 * committed nothing by then is left out: its state is that of the one before, if that is proven.
 * Takes no more steps than there are entries.
 */
export function* trailOf(now: Standing, lineage: Lineage): Generator<TrailPoint> {
  let { incarnation, epoch, txid } = now
  let isProven = true
  for (let steps = 0; steps <= lineage.length; steps++) {
    if (incarnation === '') return
    const at = incarnation
    const begun = lineage.find(({ id }) => id === at)
    const isIdleHere = begun?.exact && begun.after !== '' && txid <= begun.txid
    if (!isIdleHere) yield { incarnation, epoch, txid, isProven }
    if (!begun) return
    txid = Math.min(txid, begun.txid)
    incarnation = begun.after
    epoch = begun.afterEpoch
    isProven &&= begun.exact
  }
}

/**
 * `proven`: it is part of the history. `likely`: it is assumed to be, for a database that was
 * written while no node ran. `unknown`: it may hold what the history lacks.
 */
export type Containment = 'proven' | 'likely' | 'unknown'

/** Whether a node that stands at `now` has the state at `point` in its history. */
export function containment(now: Standing, lineage: Lineage, point: HistoryPoint): Containment {
  // There is none without an incarnation, and none where the lineage goes in a circle.
  const [meant] = [...trailOf({ ...point, epoch: 0 }, lineage), undefined]
  if (!meant) return 'unknown'
  for (const { incarnation, txid, isProven } of trailOf(now, lineage)) {
    if (incarnation !== meant.incarnation) continue
    if (meant.txid > txid) return 'unknown'
    return isProven ? 'proven' : 'likely'
  }
  return 'unknown'
}

/**
 * Where the history that stands at `now` and one whose trail is `theirs` parted; undefined when
 * nothing common is known.
 */
export function partingPoint(
  now: Standing,
  lineage: Lineage,
  theirs: readonly HistoryPoint[],
): TrailPoint | undefined {
  const mine = new Map([...trailOf(now, lineage)].map((point) => [point.incarnation, point]))
  for (const { incarnation, txid } of theirs) {
    const point = mine.get(incarnation)
    if (point) return { ...point, txid: Math.min(point.txid, txid) }
  }
  return undefined
}

/**
 * Whether a node that stands at `now` has the position in its history, as far as numbers tell: a
 * client brings nothing else. The newest incarnation of an epoch counts.
 */
export function containsPosition(
  now: Standing,
  lineage: Lineage,
  { epoch, txid }: Position,
): boolean {
  if (epoch === now.epoch) return txid <= now.txid
  for (const point of trailOf(now, lineage)) {
    if (point.epoch < epoch) break
    if (point.epoch === epoch) return txid <= point.txid
  }
  // Nothing was committed in it: its positions are those of the incarnation before.
  return lineage.some(
    (begun) =>
      begun.epoch === epoch &&
      begun.exact &&
      txid <= begun.txid &&
      containment(now, lineage, { incarnation: begun.after, txid }) !== 'unknown',
  )
}

/**
 * A trail as it is sent: `ID@TXID` of its points, the newest first, joined by spaces; of many the
 * newest.
 */
export function formatTrail(trail: Iterable<HistoryPoint>): string {
  const points: string[] = []
  for (const { incarnation, txid } of trail) {
    points.push(`${incarnation}@${txid}`)
    if (points.length === MAX_TRAIL) break
  }
  return points.join(' ')
}

/** The history of a node that stands at `now`, as it is sent; '' when nothing is known of it. */
export function historyOf(now: Standing, lineage: Lineage): string {
  return formatTrail(trailOf(now, lineage))
}

/** What `formatTrail` gives, of another node: undefined when it is anything else. */
export function parseTrail(text: string): readonly HistoryPoint[] | undefined {
  if (text === '') return []
  const parts = text.split(' ', MAX_TRAIL + 1)
  if (parts.length > MAX_TRAIL) return undefined
  const points: HistoryPoint[] = []
  for (const part of parts) {
    const match = /^([0-9a-f]{16})@(\d{1,15})$/.exec(part)
    if (!match) return undefined
    points.push({ incarnation: match[1], txid: Number(match[2]) })
  }
  return points
}
