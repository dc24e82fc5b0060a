/** Where the files of a place end. */
import { type ArchiveName, parseArchiveName } from '../../proto/archiveNames.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { ArchiveEnvelope } from './archiveEnvelope.ts'
import { ArchiveFile } from './archiveFile.ts'
import type { Stand } from './batchRecord.ts'
import { endOf, reachablePieces } from './restorePlan.ts'
import { storedFiles } from './storedFiles.ts'
import type { OpenObject, Store } from './stores/store.ts'

export interface StoreEnd {
  /** The checksum is '' in a file that this node cannot read. */
  readonly at: Stand
  /** When the leader noticed the position, or when the file was written. */
  readonly timeMs: number
}

/** The end of a file, and what it has before. */
export interface FileEnds extends StoreEnd {
  /** All whole positions, ascending; none of a file that this node cannot read. */
  readonly points: readonly StoreEnd[]
}

/**
 * Names of the last parts of all files to which a snapshot leads: those of `incarnation` first,
 * then those that `mayHold` what is looked for, and the one with the highest txid first.
 */
export async function endsOf(
  store: Store,
  incarnation: string,
  mayHold: (name: ArchiveName) => boolean,
): Promise<ArchiveName[]> {
  const rank = (name: ArchiveName) =>
    endOf(name).incarnation === incarnation ? 0 : mayHold(name) ? 1 : 2
  return reachablePieces(await storedFiles(store))
    .map(({ files }) => files[files.length - 1].name)
    .map((name) => ({ name, rank: rank(name) }))
    .sort((a, b) => a.rank - b.rank || endOf(b.name).txid - endOf(a.name).txid)
    .map(({ name }) => name)
}

/** Whether a snapshot leads to a file that ends at this position. */
export async function endsAt(
  store: Store,
  { incarnation, txid }: Pick<Stand, 'incarnation' | 'txid'>,
): Promise<boolean> {
  return reachablePieces(await storedFiles(store)).some(({ name }) => {
    const end = endOf(name)
    return end.incarnation === incarnation && end.txid === txid
  })
}

/**
 * The last position in the file `name`; undefined when it has none. Throws ARCHIVE_FOREIGN when it
 * is not of `cluster`.
 */
export async function readEnd(
  store: Store,
  name: string,
  cluster: string,
): Promise<FileEnds | undefined> {
  const source = await store.open(name)
  try {
    const { header } = await ArchiveEnvelope.open(source)
    if (header.cluster !== cluster)
      throw new WalcastError('ARCHIVE_FOREIGN', {
        place: store.name,
        theirs: header.cluster,
        mine: cluster,
      })
    const { incarnation, epoch, createdMs } = header
    const file = await unlocked(source)
    if (!file) {
      const parsed = parseArchiveName(name)
      const at = parsed && { incarnation, epoch, txid: endOf(parsed).txid, checksum: '' }
      return at && { at, timeMs: createdMs, points: [] }
    }
    const ends = file.points.map(({ txid, checksum, timeMs }) => ({
      at: { incarnation, epoch, txid, checksum },
      timeMs,
    }))
    const last = ends[ends.length - 1]
    return last && { ...last, points: file.isOpen ? ends.slice(0, -1) : ends }
  } finally {
    await source.close()
  }
}

/** Undefined when it is encrypted: only its recipients know its positions. */
async function unlocked(source: OpenObject): Promise<ArchiveFile | undefined> {
  try {
    return await ArchiveFile.open(source)
  } catch (error) {
    if (keyOf(error) === 'ARCHIVE_LOCKED') return undefined
    throw error
  }
}
