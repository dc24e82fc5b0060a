/**
 * The files of an archive with what their ends tell: times, positions, state checksums. A file
 * never changes, so each is looked at once in the life of a process. A look is bounded: what it
 * has not got to has no dates yet, and is left alone until a later one.
 */
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { asWalcastError, keyOf as errorKey, type WalcastError } from '../errors.ts'
import type { ArchiveFiles } from './archiveFiles.ts'
import { isOfContent } from './contentFailures.ts'
import { type Piece, pieceName, piecesOf, type StoredFile } from './restorePlan.ts'
import { storedFiles } from './storedFiles.ts'
import type { Store } from './stores/store.ts'

/** When the leader noticed the first and last position of a file, ms since 1970. */
export interface PieceDates {
  readonly firstMs: number
  readonly lastMs: number
}

/** What the index and header of a file tell. */
export interface PieceAbout extends PieceDates {
  readonly points: number
  readonly images: number
  /** State checksum at its end, 16 hex digits. */
  readonly checksum: string
  /** Of its last part. */
  readonly header: ArchiveHeader
}

export interface DatedPiece extends Piece {
  /** The name of its first part, as if it had no other. */
  readonly key: string
  /** Undefined when it has not been looked at, or cannot be read. */
  readonly about: PieceAbout | undefined
  /**
   * The same, and of an encrypted file that this process cannot read when it was begun, which is
   * soon after its positions or after them.
   */
  readonly dates: PieceDates | undefined
  /** Undefined as `dates` is. */
  readonly epoch: number | undefined
  readonly isEncrypted: boolean
  /** It was read, and does not hold what it should: no way leads through it. */
  readonly isUnsound: boolean
}

/** What has been found out of a piece; nothing before a look. */
type Known = Pick<DatedPiece, 'about' | 'dates' | 'epoch' | 'isEncrypted' | 'isUnsound'>

export const UNKNOWN: Known = {
  about: undefined,
  dates: undefined,
  epoch: undefined,
  isEncrypted: false,
  isUnsound: false,
}

export interface ArchiveLook {
  /** Whole ones, in the order of their ends. */
  readonly pieces: readonly DatedPiece[]
  /** Parts whose others are missing: somebody writes them now, or died over it. */
  readonly partial: readonly StoredFile[]
  /** All that were listed. */
  readonly files: readonly StoredFile[]
  readonly problems: readonly WalcastError[]
}

/** What the failed looks of one round tell, by the key of the piece. */
export type FailedLooks = Map<string, Known>

export class DatedPieces {
  readonly #store: Store
  readonly #files: ArchiveFiles
  /** As many entries as the archive has pieces: what is gone is forgotten. */
  #known = new Map<string, Known>()

  constructor(store: Store, files: ArchiveFiles) {
    this.#store = store
    this.#files = files
  }

  /**
   * Opens at most `most` files that were not opened before, the oldest first. `failed`: what could
   * not be read in earlier looks of a round, which is not tried again; this look adds to it.
   */
  async look(
    most: number,
    signal: AbortSignal,
    failed: FailedLooks = new Map(),
  ): Promise<ArchiveLook> {
    const files = await storedFiles(this.#store)
    const pieces = piecesOf(files).map((piece) => ({ ...piece, key: keyOf(piece) }))
    const problems: WalcastError[] = []
    const known = new Map<string, Known>()
    let left = most
    const dated: DatedPiece[] = []
    for (const piece of pieces.toSorted(byEnd)) {
      let found = this.#known.get(piece.key) ?? failed.get(piece.key)
      if (!found && left >= piece.files.length && !signal.aborted) {
        left -= piece.files.length
        found = await this.#find(piece).catch((error) => {
          problems.push(asWalcastError(error))
          const unread = { ...UNKNOWN, isUnsound: isOfContent(error) }
          failed.set(piece.key, unread)
          return unread
        })
      }
      if (found && !failed.has(piece.key)) known.set(piece.key, found)
      dated.push({ ...piece, ...(found ?? UNKNOWN) })
    }
    this.#known = known
    const whole = new Set(dated.flatMap((piece) => piece.files))
    return { pieces: dated, partial: files.filter((file) => !whole.has(file)), files, problems }
  }

  async #find(piece: Piece): Promise<Known | undefined> {
    try {
      return await this.#read(piece)
    } catch (error) {
      if (errorKey(error) !== 'ARCHIVE_LOCKED') throw error
      const { createdMs, epoch } = await this.#files.header(
        piece.files[piece.files.length - 1].name,
      )
      const dates = { firstMs: createdMs, lastMs: createdMs }
      return { about: undefined, dates, epoch, isEncrypted: true, isUnsound: false }
    }
  }

  async #read({ files }: Piece): Promise<Known | undefined> {
    let firstMs = Number.POSITIVE_INFINITY
    let [points, images] = [0, 0]
    for (const [i, { name }] of files.entries()) {
      const { file, close } = await this.#files.open(name)
      try {
        points += file.points.length - (file.continues ? 1 : 0)
        for (const { pageNumbers } of file.points) images += pageNumbers.length
        firstMs = Math.min(firstMs, file.points[0]?.timeMs ?? firstMs)
        const last = file.points.at(-1)
        if (i < files.length - 1 || !last) continue
        const dates = { firstMs, lastMs: last.timeMs }
        const { header, isEncrypted } = file
        const about = { ...dates, points, images, checksum: last.checksum, header }
        return { about, dates, epoch: header.epoch, isEncrypted, isUnsound: false }
      } finally {
        await close()
      }
    }
    return undefined
  }
}

export function keyOf({ name }: Pick<Piece, 'name'>): string {
  return pieceName(name)
}

/** Of one end, changes come before the snapshot. */
export function byEnd(a: Piece, b: Piece): number {
  return endTxid(a) - endTxid(b)
}

function endTxid({ name }: Piece): number {
  return name.kind === 'snapshot' ? name.txid + 0.5 : name.to.txid
}
