/** Which position of an archive is meant, and which others that could be. */

import type { ClearHeader } from '../../proto/archiveHeader.ts'
import type { ArchiveName } from '../../proto/archiveNames.ts'
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import type { Archive } from './archive.ts'
import { isOfOneFile } from './contentFailures.ts'
import { historiesOf, type IncarnationHead, type Span } from './histories.ts'
import { type ArchivedPosition, type BadPieces, HistoryPositions } from './historyPositions.ts'
import { momentText } from './moment.ts'
import {
  endOf,
  type Piece,
  pieceName,
  piecesOf,
  reachablePieces,
  type StoredFile,
} from './restorePlan.ts'

export interface Wanted {
  /** Which position: the newest when none of these is given. */
  readonly txid?: number | undefined
  /** With `txid`, the epoch that it must have. */
  readonly epoch?: number | undefined
  /** The last position that was noticed by then, ms since 1970. */
  readonly atMs?: number | undefined
  /** The history that ends in this incarnation, and not the newest one. */
  readonly incarnation?: string | undefined
  /** Of which cluster, when the place has archives of several. */
  readonly cluster?: string | undefined
}

export interface Target extends ArchivedPosition {
  /** Whether nothing later is archived in its history. */
  readonly isLast: boolean
  /** Whether what was wanted is beyond it, in files that are missing or not sound. */
  readonly isCutOff: boolean
  /** What other histories have. */
  readonly others: readonly Span[]
  readonly head: IncarnationHead
  /** The incarnation in which its history ends. */
  readonly tip: string
}

/** Files of one cluster, with the heads of its incarnations. */
export interface ClusterArchive {
  readonly archive: Archive
  readonly pieces: readonly Piece[]
  readonly heads: ReadonlyMap<string, IncarnationHead>
  /** The last txids of incarnations of which no file can be read. */
  readonly lost: readonly number[]
}

const MAX_NAMED = 10
/** Files that are opened at once. */
const AT_ONCE = 8

/**
 * The files of one cluster in a place. An incarnation of which no file can be read is left out, and
 * its files are added to `bad`. `readHead`: also `headOfEnvelope`, for those of which all files are
 * locked. Throws ARCHIVE_SEVERAL, CLUSTER_NOT_ARCHIVED, and what the store does.
 */
export async function clusterArchive(
  archive: Archive,
  cluster: string | undefined,
  bad: BadPieces,
  readHead: ReadHead = headOfFile,
): Promise<ClusterArchive> {
  const heads = await headsOf(archive, bad, readHead)
  const clusters = new Map<string, IncarnationHead[]>()
  for (const head of heads.values())
    clusters.set(clusterText(head), [...(clusters.get(clusterText(head)) ?? []), head])
  const wanted = [...clusters].filter(([, [head]]) => !cluster || head.cluster === cluster)
  const names = [...clusters.keys()].map((name) => plainText(name, 100))
  const [unread] = bad.values()
  if (clusters.size === 0 && unread) throw unread
  if (wanted.length === 0)
    throw new WalcastError('CLUSTER_NOT_ARCHIVED', {
      store: archive.name,
      cluster: plainText(cluster ?? '', 100),
      clusters: names.join(' and '),
    })
  if (wanted.length > 1)
    throw new WalcastError('ARCHIVE_SEVERAL', {
      store: archive.name,
      clusters: names.join(' and '),
    })
  const own = new Map(wanted[0][1].map((head) => [head.id, head]))
  const files = archive.files.filter(({ name }) => own.has(endOf(name).incarnation))
  const lost = archive.files
    .filter(({ name }) => !heads.has(endOf(name).incarnation))
    .map(({ name }) => endOf(name).txid)
  return { archive: archive.only(files), pieces: piecesOf(files), heads: own, lost }
}

type ReadHead = (archive: Archive, name: ArchiveName) => Promise<IncarnationHead>

export function headOfFile(archive: Archive, name: ArchiveName): Promise<IncarnationHead> {
  return archive.use(name, async ({ header }) => headIn(header))
}

/** Needs no key. */
export function headOfEnvelope(archive: Archive, name: ArchiveName): Promise<IncarnationHead> {
  return archive.useEnvelope(name, async ({ header }) => headIn(header))
}

function headIn({ incarnation: id, epoch, cluster, db, node }: ClearHeader): IncarnationHead {
  return { id, epoch, cluster, db, node }
}

function clusterText({ cluster, db }: IncarnationHead): string {
  return db === 'main' ? cluster : `${cluster} (database ${db})`
}

/** Reads the smallest file of each incarnation that can be read. */
async function headsOf(
  archive: Archive,
  bad: BadPieces,
  readHead: ReadHead,
): Promise<ReadonlyMap<string, IncarnationHead>> {
  const files = new Map<string, StoredFile[]>()
  for (const file of archive.files.toSorted((a, b) => a.bytes - b.bytes)) {
    const { incarnation } = endOf(file.name)
    files.set(incarnation, [...(files.get(incarnation) ?? []), file])
  }
  const heads = new Map<string, IncarnationHead>()
  const left = [...files.values()]
  const next = async () => {
    for (let own = left.pop(); own !== undefined; own = left.pop()) {
      const head = await headOf(archive, own, bad, readHead)
      if (head) heads.set(head.id, head)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
  return heads
}

async function headOf(
  archive: Archive,
  files: readonly StoredFile[],
  bad: BadPieces,
  readHead: ReadHead,
): Promise<IncarnationHead | undefined> {
  for (const { name } of files)
    try {
      return await readHead(archive, name)
    } catch (error) {
      if (!isOfOneFile(error)) throw error
      bad.set(pieceName(name), error)
    }
  return undefined
}

/**
 * The position that is meant, or the last one before it that can be read (`isCutOff`). Throws
 * POSITION_NOT_ARCHIVED, and what the store does.
 */
export async function findTarget(
  own: ClusterArchive,
  wanted: Wanted,
  bad: BadPieces,
): Promise<Target> {
  const { archive, pieces, heads, lost } = own
  const histories = historiesOf(pieces, heads, tipOf(own, wanted))
  if (!histories) throw unknownIncarnation(wanted.incarnation ?? '', heads)
  const { newest, others } = histories
  const positions = new HistoryPositions(archive, newest, pieces, bad)
  const last = newest[newest.length - 1]
  const { position, ...found } = await positionIn(positions, wanted, last.last)
  const isNamed = wanted.txid !== undefined || wanted.incarnation !== undefined
  const isCutOff = found.isCutOff || (!isNamed && lost.some((txid) => txid > position.txid))
  const isLast = position.txid === last.last && position.incarnation === last.head.id
  const head = heads.get(position.incarnation) ?? last.head
  return { ...position, isLast, isCutOff, others, head, tip: last.head.id }
}

/**
 * In which incarnation the history ends. For a position of an epoch that the newest history has
 * not with this txid, it is the one that has.
 */
function tipOf(own: ClusterArchive, wanted: Wanted): string | undefined {
  const { incarnation, epoch, txid = 0 } = wanted
  if (incarnation !== undefined || epoch === undefined) return incarnation
  const has = ({ head, first, last }: Span) => head.epoch === epoch && first <= txid && txid <= last
  const histories = historiesOf(own.pieces, own.heads)
  if (!histories || histories.newest.some(has)) return undefined
  return histories.others.find(has)?.head.id
}

interface FoundPosition {
  readonly position: ArchivedPosition
  readonly isCutOff: boolean
}

async function positionIn(
  positions: HistoryPositions,
  { txid, epoch, atMs }: Wanted,
  last: number,
): Promise<FoundPosition> {
  if (atMs !== undefined) return upTo(positions, atMs)
  const { exact, before, after } = await positions.around(txid ?? last)
  if (exact && (epoch === undefined || exact.epoch === epoch))
    return { position: exact, isCutOff: false }
  if (!exact && before && positions.isCutOffAfter(before))
    return { position: before, isCutOff: true }
  const nearest = exact ? [exact] : [before, after].flatMap((each) => each ?? [])
  throw new WalcastError('POSITION_NOT_ARCHIVED', {
    wanted: epoch === undefined ? `txid ${txid ?? last}` : `position ${epoch}-${txid}`,
    nearest: `the nearest: ${nearest.map(positionText).join(' and ') || 'none'}`,
  })
}

async function upTo(positions: HistoryPositions, atMs: number): Promise<FoundPosition> {
  const position = await positions.upTo(atMs)
  if (position) return { position, isCutOff: positions.isCutOffAfter(position) }
  const first = await positions.first()
  throw new WalcastError('POSITION_NOT_ARCHIVED', {
    wanted: `position as old as ${momentText(atMs)}`,
    nearest: `the first one is ${first ? positionText(first) : 'not to be read'}`,
  })
}

/** The positions of the history of `target` to which `files` lead. `without`: see `planRestore`. */
export function reachablePositions(
  { archive, pieces, heads }: ClusterArchive,
  files: Archive['files'],
  { tip }: Pick<Target, 'tip'>,
  bad: BadPieces,
  without: ReadonlySet<string>,
): HistoryPositions {
  const histories = historiesOf(pieces, heads, tip)
  const reachable = reachablePieces(files, without)
  return new HistoryPositions(archive, histories?.newest ?? [], reachable, bad)
}

export function positionText({ epoch, txid, timeMs }: ArchivedPosition): string {
  return `${epoch}-${txid} of ${momentText(timeMs)}`
}

function unknownIncarnation(id: string, heads: ReadonlyMap<string, IncarnationHead>): WalcastError {
  const ids = [...heads.keys()].slice(0, MAX_NAMED).join(', ')
  return new WalcastError('POSITION_NOT_ARCHIVED', {
    wanted: `incarnation ${plainText(id, 32)}`,
    nearest: `it has ${ids}`,
  })
}
