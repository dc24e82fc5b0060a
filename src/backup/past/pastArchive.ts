/**
 * An archive as a past that can be asked: which position a moment means, and what the database was
 * there.
 */
import type { ArchivedPlace } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import type { BackupIdentity } from '../../security/backupKeys.ts'
import { PageSet } from '../../sqlite/pageSet.ts'
import type { OnRead } from '../archive.ts'
import type { ArchiveFile } from '../archiveFile.ts'
import { type Moment, momentText } from '../moment.ts'
import { provenWay } from '../provenWay.ts'
import { type Piece, type PlannedFile, planRestore, type StoredFile } from '../restorePlan.ts'
import { pointNamed } from '../retention/namedPoints.ts'
import { storedFiles } from '../storedFiles.ts'
import type { Store } from '../stores/store.ts'
import { isWhole, type PointOfFile, partsOf } from './fileChain.ts'
import { HistoryLine, type LinePart } from './historyLine.ts'
import { OpenFiles } from './openFiles.ts'
import { PastPages, type PastPosition, positionOf } from './pastPages.ts'

/** A position, and where its point is. */
export interface FoundPosition {
  readonly position: PastPosition
  readonly piece: Piece
  /** The last of its files that hold it, and the place of its point there. */
  readonly file: StoredFile
  readonly place: number
}

export class PastArchive {
  readonly files: OpenFiles
  readonly #store: Store
  readonly #stored: readonly StoredFile[]
  readonly #history: HistoryLine
  #newest: Promise<LinePart[]> | undefined

  private constructor(
    store: Store,
    stored: readonly StoredFile[],
    identities: readonly BackupIdentity[],
    onRead: OnRead | undefined,
  ) {
    this.#store = store
    this.#stored = stored
    this.#history = new HistoryLine(stored)
    this.files = new OpenFiles(store, identities, onRead)
  }

  /**
   * Lists the files of a store. `identities`: those that may open encrypted files. `onRead` hears
   * of all bytes that are read of them.
   */
  static async open(
    store: Store,
    identities: readonly BackupIdentity[] = [],
    onRead?: OnRead,
  ): Promise<PastArchive> {
    return new PastArchive(store, await storedFiles(store), identities, onRead)
  }

  close(): Promise<void> {
    return this.files.close()
  }

  /** The files of the newest history, oldest first. Throws NO_ARCHIVE when there are none. */
  async line(): Promise<readonly LinePart[]> {
    this.#newest ??= this.#history.newest(this.files)
    const line = await this.#newest
    if (line.length === 0) throw new WalcastError('NO_ARCHIVE', { store: this.#store.name })
    return line
  }

  /** Throws MOMENT_MISSING, NO_ARCHIVE or POSITION_NOT_ARCHIVED. */
  async find(moment: Moment): Promise<FoundPosition> {
    const line = await this.line()
    switch (moment.kind) {
      case 'newest':
        return this.#last(line)
      case 'time':
        return this.#atTime(line, moment.atMs)
      case 'txid':
        return this.#withTxid(line, moment.txid, `txid ${moment.txid}`)
      case 'position':
        return this.#withPosition(line, moment)
      case 'named':
        return this.#withName(line, moment.name)
    }
  }

  /** The position before this one; undefined for the oldest. */
  async before({ position }: FoundPosition): Promise<FoundPosition | undefined> {
    const line = this.#lineWith(await this.line(), position)
    for (const part of line.toReversed()) {
      if (part.after >= position.txid) continue
      const earlier = (await this.points(part)).filter((each) => each.position.txid < position.txid)
      const last = earlier[earlier.length - 1]
      if (last) return last
    }
    return undefined
  }

  /** The positions of a part of a line, oldest first. */
  async points({ piece, after, upTo }: LinePart): Promise<FoundPosition[]> {
    const found: FoundPosition[] = []
    for (const file of piece.files) {
      const archive = await this.files.open(file)
      for (const [place, point] of archive.points.entries())
        if (isWhole(archive, place) && point.txid > after && point.txid <= upTo)
          found.push({ position: positionOf(archive, point), piece, file, place })
    }
    return found
  }

  /** The points, or parts of one, that hold what changed at a position. */
  async changesOf({ piece, file, place }: FoundPosition): Promise<PointOfFile[]> {
    const files = piece.files.slice(0, piece.files.indexOf(file) + 1)
    const opened: ArchiveFile[] = []
    for (const each of files) opened.push(await this.files.get(each))
    return partsOf(opened, place)
  }

  /** What a restore reads, in order. Throws ARCHIVE_GAP when no snapshot leads there. */
  async way({ position }: FoundPosition): Promise<readonly PlannedFile[]> {
    const way = await provenWay(
      (without) => planRestore(this.#stored, position, without),
      position,
      new Set(),
      async (file, txid) => {
        const archive = await this.files.get(file)
        const place = archive.points.findIndex((point) => point.txid === txid)
        return place >= 0 && isWhole(archive, place)
      },
    )
    if (way) return way
    throw new WalcastError('ARCHIVE_GAP', {
      name: nameOf(position),
      detail: 'no snapshot and changes lead there',
    })
  }

  /** The pages of the database at a position. */
  async pages(found: FoundPosition): Promise<PastPages> {
    return PastPages.at(this.files, await this.way(found), found.position)
  }

  /**
   * All pages that changed after one position and up to another, and perhaps some more. Undefined
   * when the files between them have a gap, or are of another history.
   */
  async changedBetween(before: FoundPosition, after: FoundPosition): Promise<PageSet | undefined> {
    const [from, to] = [before.position, after.position]
    const pieces = this.#history.between(from, to)
    const changed = new PageSet(to.pages)
    for (const file of pieces?.flatMap((piece) => piece.files) ?? []) {
      const { header, points } = await this.files.open(file)
      const isEarlier = (txid: number) =>
        header.incarnation === from.incarnation && txid <= from.txid
      for (const { txid, pageNumbers } of points)
        if (!isEarlier(txid)) for (const page of pageNumbers) changed.add(page)
    }
    return pieces && changed
  }

  /** What a restore on this way opens, in order. */
  opensOf(way: readonly PlannedFile[]): (() => Promise<ArchiveFile>)[] {
    return way.map((file) => () => this.files.open(file))
  }

  async #last(line: readonly LinePart[]): Promise<FoundPosition> {
    for (const part of line.toReversed()) {
      const points = await this.points(part)
      const last = points[points.length - 1]
      if (last) return last
    }
    throw this.#missing('any position', 'its files hold none')
  }

  /** The clock of a leader may be set back: then one of two answers is as good as the other. */
  async #atTime(line: readonly LinePart[], atMs: number): Promise<FoundPosition> {
    let [low, high] = [0, line.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const [first] = await this.points(line[middle])
      if (first && first.position.timeMs > atMs) high = middle
      else low = middle + 1
    }
    for (const part of line.slice(0, low).toReversed()) {
      const last = (await this.points(part)).findLast(({ position }) => position.timeMs <= atMs)
      if (last) return last
    }
    const [oldest] = await this.points(line[0])
    const begins = oldest ? ` at ${momentText(oldest.position.timeMs)}` : ' later'
    throw this.#missing(momentText(atMs), `it begins${begins}`)
  }

  async #withTxid(line: readonly LinePart[], txid: number, name: string): Promise<FoundPosition> {
    const part = line.find((each) => each.after < txid && txid <= each.upTo)
    const points = part ? await this.points(part) : []
    const found = points.find(({ position }) => position.txid === txid)
    if (found) return found
    const first = (await this.points(line[0]))[0]?.position.txid
    const last = line[line.length - 1].upTo
    const next = points.find(({ position }) => position.txid > txid)
    const detail = next
      ? `it was captured together with later ones, as ${nameOf(next.position)}`
      : `it has the txids from ${first ?? '?'} to ${last}`
    throw this.#missing(name, detail)
  }

  async #withPosition(
    line: readonly LinePart[],
    { epoch, txid }: Extract<Moment, { kind: 'position' }>,
  ): Promise<FoundPosition> {
    const name = `${epoch}-${txid}`
    const onLine = line.find((each) => each.after < txid && txid <= each.upTo)
    if (onLine && (await this.#epochOf(onLine)) === epoch) return this.#withTxid(line, txid, name)
    for (const incarnation of this.#history.incarnations) {
      const own = this.#history.of(incarnation)
      const part = own.find((each) => each.after < txid && txid <= each.upTo)
      if (part && (await this.#epochOf(part)) === epoch) return this.#withTxid(own, txid, name)
    }
    throw this.#missing(name, 'it has no such position in that epoch')
  }

  async #withName(line: readonly LinePart[], name: string): Promise<FoundPosition> {
    const point = await pointNamed(this.#store, name)
    const own = this.#lineWith(line, point)
    const moment = `txid ${point.txid}, which has the name ${name}`
    if (own.length === 0) throw this.#missing(moment, 'it has no file of that history')
    return this.#withTxid(own, point.txid, moment)
  }

  #missing(moment: string, detail: string): WalcastError {
    return new WalcastError('MOMENT_MISSING', { store: this.#store.name, moment, detail })
  }

  async #epochOf({ piece }: LinePart): Promise<number> {
    return (await this.files.get(piece.files[0])).header.epoch
  }

  #lineWith(line: readonly LinePart[], { incarnation, txid }: ArchivedPlace): readonly LinePart[] {
    const isOn = line.some((part) => part.incarnation === incarnation && txid <= part.upTo)
    return isOn ? line : this.#history.of(incarnation)
  }
}

/** As people write a position. */
export function nameOf({ epoch, txid }: PastPosition): string {
  return `${epoch}-${txid}`
}
