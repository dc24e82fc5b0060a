/**
 * Which changes of an archive lead on from a position that a database has. The position stands for
 * a snapshot of no bytes, and the way from it is planned as that of a restore is. A file that has
 * the position among others is entered there: what it has from before is part of the state already.
 */
import {
  type ArchivedPlace,
  type ArchiveName,
  formatArchiveName,
} from '../../../proto/archiveNames.ts'
import { type History, historiesOf } from '../histories.ts'
import type { BadPieces } from '../historyPositions.ts'
import { type HasPosition, provenWay } from '../provenWay.ts'
import {
  endOf,
  type Piece,
  type PlannedFile,
  pieceName,
  planRestore,
  reachablePieces,
  type StoredFile,
} from '../restorePlan.ts'
import type { ClusterArchive } from '../restoreTarget.ts'

export type WayOn =
  /** `isWhole`: up to the newest position. */
  | { readonly kind: 'way'; readonly files: readonly PlannedFile[]; readonly isWhole: boolean }
  /** Nothing newer is archived. */
  | { readonly kind: 'level' }
  /** The history that goes on does not have the position: a failover left it behind. */
  | { readonly kind: 'left' }
  /** Nothing in the archive is of the history of the position, or follows it. */
  | { readonly kind: 'foreign' }
  /** Newer positions are archived, and no changes lead there. */
  | { readonly kind: 'gap' }

/** `wrong`: see `provenWay`, which adds to it. Throws what `has` throws. */
export async function wayOn(
  { pieces, heads }: Pick<ClusterArchive, 'pieces' | 'heads'>,
  at: ArchivedPlace,
  bad: BadPieces,
  wrong: Set<string>,
  has: HasPosition,
): Promise<WayOn> {
  const newest = historiesOf(pieces, heads)?.newest ?? []
  const tip = newest.at(-1)
  if (!tip || (tip.head.id === at.incarnation && at.txid >= tip.last)) return { kind: 'level' }
  if (!isIn(newest, pieces, at)) return { kind: isKnown(pieces, at, bad) ? 'left' : 'foreign' }
  const sound = pieces.filter(({ name }) => !bad.has(pieceName(name)))
  const entered = new EnteredFiles(sound, at)
  const wayTo = (target: ArchivedPlace) =>
    provenWay(
      (without) => planRestore(entered.files, target, without),
      target,
      wrong,
      (file, txid) => has(entered.original(file), txid),
    )
  const whole = await wayTo({ incarnation: tip.head.id, txid: tip.last })
  if (whole) return { kind: 'way', files: entered.originals(whole), isWhole: true }
  const nearest = furthest(newest, reachablePieces(entered.files, wrong), at)
  const way = nearest && (await wayTo(nearest))
  return way ? { kind: 'way', files: entered.originals(way), isWhole: false } : { kind: 'gap' }
}

function isIn(newest: History, pieces: readonly Piece[], at: ArchivedPlace): boolean {
  const own = newest.find(({ head }) => head.id === at.incarnation)
  if (own) return at.txid <= own.last
  // All that the archive has of that incarnation may be gone, but for what follows it.
  return pieces.some(
    ({ name }) =>
      name.kind === 'changes' &&
      isSame(name.from, at) &&
      newest.some(({ head }) => head.id === name.to.incarnation),
  )
}

/** Whether a file has or had positions of its incarnation. */
function isKnown(pieces: readonly Piece[], at: ArchivedPlace, bad: BadPieces): boolean {
  const names = [...pieces.map(({ name }) => pieceName(name)), ...bad.keys()]
  return names.some((name) => name.includes(at.incarnation))
}

/** The last position of a piece that lies on the history and behind `at`. */
function furthest(
  newest: History,
  pieces: readonly Piece[],
  at: ArchivedPlace,
): ArchivedPlace | undefined {
  return pieces
    .map(({ name }) => endOf(name))
    .filter(({ incarnation, txid }) => {
      const span = newest.find(({ head }) => head.id === incarnation)
      return span !== undefined && txid <= span.last && txid > at.txid
    })
    .toSorted((a, b) => b.txid - a.txid)[0]
}

/** Files of changes as a plan needs them that begins at a position. */
class EnteredFiles {
  readonly files: readonly StoredFile[]
  readonly #start: string
  /** Files that have the position inside, by the names that they get for the plan. */
  readonly #originals = new Map<string, StoredFile>()

  constructor(pieces: readonly Piece[], at: ArchivedPlace) {
    const start = snapshotAt(at)
    this.#start = formatArchiveName(start)
    const changes = pieces.filter(({ name }) => name.kind === 'changes')
    const taken = new Set(changes.map(({ name }) => pieceName(name)))
    const files = changes.flatMap((piece) => this.#entered(piece, at, taken))
    this.files = [{ name: start, bytes: 0 }, ...files]
  }

  /** Nothing of a piece whose name is taken then: the other one holds the same. */
  #entered({ name, files }: Piece, at: ArchivedPlace, taken: Set<string>): readonly StoredFile[] {
    const entry = entryInto(name, at)
    if (!entry) return files
    if (taken.has(pieceName(entry))) return []
    taken.add(pieceName(entry))
    return files.flatMap((file) => {
      const entered = entryInto(file.name, at)
      if (!entered) return []
      this.#originals.set(formatArchiveName(entered), file)
      return [{ ...file, name: entered }]
    })
  }

  original(file: PlannedFile): PlannedFile {
    const original = this.#originals.get(formatArchiveName(file.name))
    return original ? { ...file, name: original.name } : file
  }

  /** The way without its beginning, which is no file. */
  originals(files: readonly PlannedFile[]): PlannedFile[] {
    return files
      .filter(({ name }) => formatArchiveName(name) !== this.#start)
      .map((file) => this.original(file))
  }
}

function snapshotAt({ incarnation, txid }: ArchivedPlace): ArchiveName {
  return { kind: 'snapshot', incarnation, txid, part: 1, isLast: true }
}

/** The name of a file as if it began at `at`, which is inside; undefined when it is not. */
function entryInto(name: ArchiveName, at: ArchivedPlace): ArchiveName | undefined {
  if (name.kind === 'snapshot') return undefined
  const { from, to } = name
  const isInside = to.incarnation === at.incarnation && from.txid < at.txid && at.txid < to.txid
  return isInside ? { ...name, from: { incarnation: at.incarnation, txid: at.txid } } : undefined
}

function isSame(a: ArchivedPlace, b: ArchivedPlace): boolean {
  return a.incarnation === b.incarnation && a.txid === b.txid
}
