/** An archive in a store: which files it has, and how they are opened. */
import type { ClearHeader } from '../../proto/archiveHeader.ts'
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { WalcastError } from '../errors.ts'
import type { BackupIdentity } from '../security/backupKeys.ts'
import { ArchiveEnvelope } from './archiveEnvelope.ts'
import { ArchiveFile } from './archiveFile.ts'
import type { OpenNext } from './restore.ts'
import type { PlannedFile, StoredFile } from './restorePlan.ts'
import { storedFiles } from './storedFiles.ts'
import type { OpenObject, Store } from './stores/store.ts'

/** Files that are opened before they are asked for. */
const OPEN_AHEAD = 8
const MAX_SMALL_BYTES = 256 * 1024

/** Hears how many bytes are about to be read. */
export type OnRead = (bytes: number) => void

export interface ArchiveReading {
  readonly onRead?: OnRead
  /** They open encrypted files. */
  readonly identities?: readonly BackupIdentity[]
}

export class Archive {
  /** Where it is, for people. */
  readonly name: string
  readonly files: readonly StoredFile[]
  readonly #store: Store
  readonly #reading: ArchiveReading

  private constructor(store: Store, files: readonly StoredFile[], reading: ArchiveReading) {
    this.name = store.name
    this.files = files
    this.#store = store
    this.#reading = reading
  }

  /**
   * Lists what there is. `onRead` hears of all bytes that are read. Throws NO_ARCHIVE, and what the
   * store throws.
   */
  static async list(store: Store, reading: ArchiveReading = {}): Promise<Archive> {
    const files = await storedFiles(store)
    if (files.length === 0) throw new WalcastError('NO_ARCHIVE', { store: store.name })
    return new Archive(store, files, reading)
  }

  /** The same without some of its files. */
  only(files: readonly StoredFile[]): Archive {
    return new Archive(this.#store, files, this.#reading)
  }

  /** Throws ARCHIVE_MISSING, _BROKEN, _LOCKED or _NEWER, and what `use` throws. */
  async use<T>(name: ArchiveName, use: (file: ArchiveFile) => Promise<T>): Promise<T> {
    const [file, source] = await this.#open(name)
    try {
      return await use(file)
    } finally {
      await source.close()
    }
  }

  /** What a file shows without a key. Throws as `use` does, and never ARCHIVE_LOCKED. */
  async useEnvelope<T>(
    name: ArchiveName,
    use: (envelope: ArchiveEnvelope) => Promise<T>,
  ): Promise<T> {
    const source = await this.#read(await this.#store.open(formatArchiveName(name)))
    try {
      const envelope = await ArchiveEnvelope.open(source)
      requireBeginning(envelope.header, name, source)
      return await use(envelope)
    } finally {
      await source.close()
    }
  }

  /**
   * Opens files one after another, some of them ahead. Each closes the one before. `last`: the name
   * of the one that is asked for.
   */
  inTurn(files: readonly PlannedFile[]): TurnOfFiles {
    const begun = new Map<number, Promise<[ArchiveFile, OpenObject]>>()
    let last: ArchiveName | undefined
    const begin = (place: number) => {
      const opening = begun.get(place) ?? this.#open(files[place].name)
      // Whoever asks for it hears of it.
      opening.catch(() => {})
      begun.set(place, opening)
      return opening
    }
    const close = async () => {
      const all = await Promise.allSettled(begun.values())
      begun.clear()
      for (const each of all) if (each.status === 'fulfilled') await each.value[1].close()
    }
    const opens = files.map(({ name, upTo }, place) => async () => {
      last = name
      const [, before] = (await begun.get(place - 1)) ?? []
      await before?.close()
      begun.delete(place - 1)
      const end = Math.min(files.length, place + OPEN_AHEAD)
      for (let next = place; next < end; next++) begin(next)
      const [file] = await begin(place)
      return upTo === undefined ? file : file.upTo(upTo)
    })
    return { opens, close, last: () => last }
  }

  /** The one place where files of an archive are opened. */
  async #open(name: ArchiveName): Promise<[ArchiveFile, OpenObject]> {
    const source = await this.#read(await this.#store.open(formatArchiveName(name)))
    try {
      const file = await ArchiveFile.open(source, this.#reading.identities)
      return [requireNamed(file, name, source), source]
    } catch (error) {
      await source.close()
      throw error
    }
  }

  /** A small file is read at once: each read of it may cost a question over a network. */
  async #read(opened: OpenObject): Promise<OpenObject> {
    const { name, bytes } = opened
    const close = () => opened.close()
    const read = (at: number, length: number) => {
      this.#reading.onRead?.(length)
      return opened.read(at, length)
    }
    if (bytes > MAX_SMALL_BYTES) return { name, bytes, read, close }
    const whole = await read(0, bytes).catch(async (error) => {
      await close()
      throw error
    })
    return { name, bytes, read: async (at, length) => whole.subarray(at, at + length), close }
  }
}

export interface TurnOfFiles {
  readonly opens: readonly OpenNext[]
  close(): Promise<void>
  last(): ArchiveName | undefined
}

/** A file that was given the name of another one is not taken for it. */
function requireNamed(file: ArchiveFile, name: ArchiveName, source: OpenObject): ArchiveFile {
  requireBeginning(file.header, name, source)
  const end = name.kind === 'snapshot' ? name : name.to
  const last = file.points.at(-1)?.txid ?? end.txid
  const isEnd = name.isLast ? last === end.txid : last <= end.txid
  if (isEnd) return file
  throw misnamed(source)
}

function requireBeginning(header: ClearHeader, name: ArchiveName, source: OpenObject): void {
  const { kind, incarnation, fromIncarnation, fromTxid } = header
  const end = name.kind === 'snapshot' ? name : name.to
  const isStart =
    name.kind === 'snapshot' ||
    (fromIncarnation === name.from.incarnation && fromTxid === name.from.txid)
  if (kind !== name.kind || incarnation !== end.incarnation || !isStart) throw misnamed(source)
}

function misnamed({ name }: OpenObject): WalcastError {
  const detail = 'it holds something else than its name says'
  return new WalcastError('ARCHIVE_BROKEN', { name, detail })
}
