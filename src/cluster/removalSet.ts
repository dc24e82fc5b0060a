/**
 * A bounded set of entries that nodes add and remove without asking each other, and in which a
 * removal wins for ever. It is a semilattice: two sets have a join, and the order and the number of
 * joins do not matter.
 *
 * What a set says is: these entries live, and all of these are dead. Dead is each version of an
 * entry that is older than a living one of its key; each entry whose key has a tombstone; and each
 * one that was written up to the horizon and that the set does not have. The join makes dead what
 * is dead in either set, and keeps alive what lives in either and is dead in none.
 *
 * The horizon stands for tombstones that made room. It also ends entries that were added somewhere
 * else before it and that had not come here by then: they have to be added once more.
 */

/** Which version of which entry. */
export interface Mark {
  /** When the version was written, ms since 1970. */
  readonly at: number
  /** Tells entries apart, and decides between entries of one time. */
  readonly key: string
}

export interface RemovalSet<Living, Ended> {
  readonly living: readonly Living[]
  readonly ended: readonly Ended[]
  readonly horizon: Mark | undefined
}

/** How entries of one kind are told apart, ordered and ended. */
export interface EntryKind<Living, Ended> {
  readonly maxLiving: number
  readonly maxEnded: number
  /** The time of the version orders the versions of one key. */
  markOf(entry: Living): Mark
  markOfEnded(entry: Ended): Mark
  /** The tombstone of an entry, of the same time. */
  end(entry: Living): Ended
}

/** Both sets stay as they are. The join may exceed the bounds, at most twofold (`compactSet`). */
export function joinSets<Living, Ended>(
  kind: EntryKind<Living, Ended>,
  a: RemovalSet<Living, Ended>,
  b: RemovalSet<Living, Ended>,
): RemovalSet<Living, Ended> {
  const ended = latest([...a.ended, ...b.ended], (entry) => kind.markOfEnded(entry))
  const isEnded = new Set(ended.map((entry) => kind.markOfEnded(entry).key))
  const living = [...survivors(kind, a, b), ...survivors(kind, b, a)]
  return {
    living: latest(living, (entry) => kind.markOf(entry)).filter(
      (entry) => !isEnded.has(kind.markOf(entry).key),
    ),
    ended,
    horizon: laterOf(a.horizon, b.horizon),
  }
}

/**
 * Within the bounds again, by a rule that is the same on every node. The youngest of too many
 * living entries end. The oldest of too many tombstones go behind the horizon.
 */
export function compactSet<Living, Ended>(
  kind: EntryKind<Living, Ended>,
  set: RemovalSet<Living, Ended>,
): RemovalSet<Living, Ended> {
  const byAge = set.living.toSorted((a, b) => compareMarks(kind.markOf(a), kind.markOf(b)))
  const excess = byAge.slice(kind.maxLiving)
  const ended = [...set.ended, ...excess.map((entry) => kind.end(entry))]
    .filter((entry) => isPast(set.horizon, kind.markOfEnded(entry)))
    .sort((a, b) => compareMarks(kind.markOfEnded(b), kind.markOfEnded(a)))
  const hidden = ended[kind.maxEnded]
  return {
    living: inOrder(byAge.slice(0, kind.maxLiving), (entry) => kind.markOf(entry)),
    ended: inOrder(ended.slice(0, kind.maxEnded), (entry) => kind.markOfEnded(entry)),
    horizon: hidden === undefined ? set.horizon : kind.markOfEnded(hidden),
  }
}

/** Whether what has this mark is younger than the horizon. */
export function isPast(horizon: Mark | undefined, mark: Mark): boolean {
  return horizon === undefined || compareMarks(mark, horizon) > 0
}

/** Negative: `a` is older. */
export function compareMarks(a: Mark, b: Mark): number {
  return a.at - b.at || compareTexts(a.key, b.key)
}

/** By code units: the same on every machine. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * One entry a key, in the order of the keys: the youngest version. Of two that say different things
 * at one time, the one with the greater text.
 */
export function latest<Entry>(entries: readonly Entry[], markOf: (entry: Entry) => Mark): Entry[] {
  const byKey = new Map<string, Entry>()
  for (const entry of entries) {
    const mark = markOf(entry)
    const known = byKey.get(mark.key)
    const order =
      known === undefined
        ? 1
        : mark.at - markOf(known).at || compareTexts(JSON.stringify(entry), JSON.stringify(known))
    if (order > 0) byKey.set(mark.key, entry)
  }
  return inOrder([...byKey.values()], markOf)
}

/** Entries of `own` that are not dead by what `other` says, tombstones aside. */
function survivors<Living, Ended>(
  kind: EntryKind<Living, Ended>,
  own: RemovalSet<Living, Ended>,
  other: RemovalSet<Living, Ended>,
): Living[] {
  const theirs = new Map(other.living.map((entry) => [kind.markOf(entry).key, kind.markOf(entry)]))
  return own.living.filter((entry) => {
    const mark = kind.markOf(entry)
    const their = theirs.get(mark.key)
    if (their !== undefined && their.at >= mark.at) return their.at === mark.at
    return isPast(other.horizon, mark)
  })
}

function laterOf(a: Mark | undefined, b: Mark | undefined): Mark | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareMarks(a, b) < 0 ? b : a
}

function inOrder<Entry>(entries: Entry[], markOf: (entry: Entry) => Mark): Entry[] {
  return entries.sort((a, b) => compareTexts(markOf(a).key, markOf(b).key))
}
