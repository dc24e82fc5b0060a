/**
 * Which positions of an archive follow each other. Leadership moves, and a leader may be lost with
 * commits that no other node has: then two incarnations have other positions of the same numbers,
 * perhaps at the same time. The history that goes on is the one of the highest epoch. Pure.
 */
import { endOf, type Piece } from './restorePlan.ts'

/** What the head of any file of an incarnation says. */
export interface IncarnationHead {
  readonly id: string
  readonly epoch: number
  readonly cluster: string
  readonly db: string
  /** Id of the node that wrote the file. */
  readonly node: string
}

/** Positions of one incarnation, from the first txid to the last. */
export interface Span {
  readonly head: IncarnationHead
  readonly first: number
  readonly last: number
}

/** Spans that follow each other, the oldest first. */
export type History = readonly Span[]

export interface Histories {
  /** The one that goes on. */
  readonly newest: History
  /** What other histories have beyond their common past. */
  readonly others: readonly Span[]
}

/** An incarnation, and where it follows from another one. */
interface Known extends Span {
  readonly after: { readonly incarnation: string; readonly txid: number } | undefined
}

/** `tip`: id of the incarnation in which the history is to end; undefined: the newest one. */
export function historiesOf(
  pieces: readonly Piece[],
  heads: ReadonlyMap<string, IncarnationHead>,
  tip?: string,
): Histories | undefined {
  const known = incarnationsOf(pieces, heads)
  const last = tip === undefined ? newestOf(known) : known.find(({ head }) => head.id === tip)
  if (!last) return undefined
  const newest = historyTo(last, known)
  return { newest, others: known.flatMap((each) => beyond(each, newest)) }
}

function incarnationsOf(
  pieces: readonly Piece[],
  heads: ReadonlyMap<string, IncarnationHead>,
): Known[] {
  const known = new Map<string, Known>()
  for (const { name } of pieces) {
    const { incarnation, txid } = endOf(name)
    const head = heads.get(incarnation)
    if (!head) continue
    const before = known.get(incarnation)
    const first = name.kind === 'snapshot' ? txid : name.from.txid + 1
    const isLink = name.kind === 'changes' && name.from.incarnation !== incarnation
    known.set(incarnation, {
      head,
      first: Math.min(first, before?.first ?? first),
      last: Math.max(txid, before?.last ?? txid),
      after: before?.after ?? (isLink ? name.from : undefined),
    })
  }
  return [...known.values()]
}

/** Of those of the highest epoch, the one from which no other one follows. */
function newestOf(known: readonly Known[]): Known | undefined {
  const epoch = Math.max(...known.map(({ head }) => head.epoch))
  const highest = known.filter(({ head }) => head.epoch === epoch)
  const left = new Set(highest.map(({ after }) => after?.incarnation))
  const tips = highest.filter(({ head }) => !left.has(head.id))
  return (tips.length > 0 ? tips : highest).toSorted((a, b) => b.last - a.last)[0]
}

function historyTo(tip: Known, known: readonly Known[]): History {
  const spans: Span[] = []
  const seen = new Set<string>()
  for (let at: Known | undefined = tip, last = tip.last; at && !seen.has(at.head.id); ) {
    seen.add(at.head.id)
    if (last >= at.first) spans.unshift({ head: at.head, first: at.first, last })
    const before = predecessorOf(at, known)
    last = Math.min(before?.last ?? 0, at.after?.txid ?? at.first - 1)
    at = before
  }
  return spans
}

/**
 * An incarnation that begins with a snapshot does not say which one it follows: it is taken to
 * follow the newest of those that began before it, as far as that goes below its first position.
 */
function predecessorOf({ after, first, head }: Known, known: readonly Known[]): Known | undefined {
  if (after) return known.find((each) => each.head.id === after.incarnation)
  return known
    .filter((each) => each.first < first && each.head.epoch <= head.epoch && each.head !== head)
    .toSorted((a, b) => b.head.epoch - a.head.epoch || b.last - a.last)[0]
}

function beyond({ head, first, last }: Span, history: History): Span[] {
  const shared = history.find((span) => span.head.id === head.id)
  const from = shared ? shared.last + 1 : first
  return from > last ? [] : [{ head, first: from, last }]
}
