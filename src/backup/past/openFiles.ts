/**
 * The files of an archive, opened when they are first read. Their indexes stay in memory; of their
 * objects only some are open at a time, since an archive may have more files than a process may.
 */
import { formatArchiveName } from '../../../proto/archiveNames.ts'
import type { BackupIdentity } from '../../security/backupKeys.ts'
import type { OnRead } from '../archive.ts'
import { ArchiveFile } from '../archiveFile.ts'
import type { PlannedFile, StoredFile } from '../restorePlan.ts'
import type { OpenObject, Store } from '../stores/store.ts'

/** Objects that are kept open beside those being read. */
const MAX_OPEN = 64

interface Opened {
  readonly object: Promise<OpenObject>
  readers: number
}

export class OpenFiles {
  readonly #store: Store
  readonly #identities: readonly BackupIdentity[]
  readonly #onRead: OnRead
  readonly #files = new Map<string, Promise<ArchiveFile>>()
  /** Those used longest ago first. */
  readonly #opened = new Map<string, Opened>()

  /** `onRead` hears of all bytes that are read. */
  constructor(store: Store, identities: readonly BackupIdentity[], onRead: OnRead = () => {}) {
    this.#store = store
    this.#identities = identities
    this.#onRead = onRead
  }

  /** Throws ARCHIVE_BROKEN, ARCHIVE_LOCKED, ARCHIVE_MISSING, and what the store throws. */
  async get(file: PlannedFile): Promise<ArchiveFile> {
    const name = formatArchiveName(file.name)
    const opened = this.#files.get(name) ?? this.#open(file)
    this.#files.set(name, opened)
    return leftAt(await opened, file)
  }

  /** The same, and nothing stays in memory once the caller forgets it. */
  async open(file: PlannedFile): Promise<ArchiveFile> {
    return leftAt(await this.#open(file), file)
  }

  #open(file: StoredFile): Promise<ArchiveFile> {
    const name = formatArchiveName(file.name)
    const read = async (at: number, bytes: number) => {
      const found = await this.#reading(name, (object) => object.read(at, bytes))
      this.#onRead(bytes)
      return found
    }
    const source = { name: `${this.#store.name}/${name}`, bytes: file.bytes, read }
    return ArchiveFile.open(source, this.#identities)
  }

  async close(): Promise<void> {
    const opened = [...this.#opened.values()]
    this.#opened.clear()
    for (const { object } of opened)
      await object.then(
        (each) => each.close(),
        // It was never opened, and whoever asked for it knows why.
        () => {},
      )
  }

  async #reading<T>(name: string, read: (object: OpenObject) => Promise<T>): Promise<T> {
    const opened = this.#opened.get(name) ?? { object: this.#store.open(name), readers: 0 }
    opened.readers++
    this.#opened.delete(name)
    this.#opened.set(name, opened)
    try {
      return await read(await opened.object)
    } finally {
      opened.readers--
      await this.#closeOldest()
    }
  }

  async #closeOldest(): Promise<void> {
    for (const [name, { object, readers }] of this.#opened) {
      if (this.#opened.size <= MAX_OPEN) return
      if (readers > 0) continue
      this.#opened.delete(name)
      await object.then(
        (each) => each.close(),
        () => {},
      )
    }
  }
}

function leftAt(archive: ArchiveFile, { upTo }: PlannedFile): ArchiveFile {
  return upTo === undefined ? archive : archive.upTo(upTo)
}
