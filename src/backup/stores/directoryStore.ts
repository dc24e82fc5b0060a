/**
 * An archive in a folder. An object is written beside its place, made durable and then linked to
 * its name, which link(2) gives only once. What a crash leaves has a name that begins with a dot. A
 * later process removes it when it is a day old.
 */
import { dirname, join } from 'node:path'
import { messageOf, systemCode, WalcastError, writeError } from '../../errors.ts'
import { type FileOps, makeFolder, syncFolder } from '../../platform/fileOps.ts'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readAside,
  readdirSync,
  statSync,
  unlinkSync,
} from '../../platform/files.ts'
import { openPlain } from '../../platform/plainFiles.ts'
import { randomBytes } from '../../platform/random.ts'
import { nextTurn, wallMs } from '../../platform/time.ts'
import { giveFolderOwner, isNoteName, makeNoteFolder } from './folderOwner.ts'
import { requireReachable, unreachable } from './folderPlace.ts'
import {
  type Append,
  isObjectName,
  type OpenObject,
  type Store,
  type StoredObject,
} from './store.ts'

const { O_WRONLY, O_CREAT, O_EXCL, O_RDONLY, O_NOFOLLOW } = constants
/** Archives hold the whole database: only the owner reads them. */
const OWN = 0o600
const BEGUN = /^\.begun-[0-9a-f]{16}$/
const BEGUN_LIFE_MS = 86_400_000
/** Files that are looked at before others have their turn: a millisecond or two of the thread. */
const LOOKS_AT_ONCE = 100

export class DirectoryStore implements Store {
  readonly name: string
  readonly #ops: FileOps
  /** Folders that were swept in this process: a look at each entry, which may be many. */
  readonly #swept = new Set<string>()

  constructor(folder: string, ops: FileOps) {
    this.name = folder
    this.#ops = ops
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    requireReachable(this.name)
    const found: StoredObject[] = []
    for (const [i, name] of this.#namesIn(prefix).entries()) {
      if (i % LOOKS_AT_ONCE === LOOKS_AT_ONCE - 1) await nextTurn()
      const whole = `${prefix}/${name}`
      // `open` follows no link.
      const about = lstatSync(this.#pathOf(whole), { throwIfNoEntry: false })
      if (about?.isFile()) found.push({ name: whole, bytes: about.size })
    }
    return found
  }

  async open(name: string): Promise<OpenObject> {
    const path = this.#pathOf(name)
    let fd: number
    try {
      fd = openPlain(path, O_RDONLY)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw unreachable(this.name, error)
      requireReachable(this.name)
      throw new WalcastError('ARCHIVE_MISSING', { name, store: this.name }, error)
    }
    return {
      name: path,
      bytes: fstatSync(fd).size,
      read: (at, bytes) => readWhole(fd, at, bytes, path),
      close: async () => closeSync(fd),
    }
  }

  async create(name: string, write: (append: Append) => Promise<void>): Promise<boolean> {
    const path = this.#pathOf(name)
    if (existsSync(path)) return false
    requireReachable(this.name)
    const begun = join(dirname(path), `.begun-${randomBytes(8).toString('hex')}`)
    const isNote = isNoteName(name)
    if (isNote) makeNoteFolder(dirname(path), this.name)
    else makeFolder(dirname(path))
    this.#sweep(dirname(path))
    const fd = openBegun(begun)
    try {
      if (isNote) giveFolderOwner(fd, this.name)
      await this.#fill(fd, begun, write)
      this.#ops.publish(begun, path)
      return true
    } catch (error) {
      discard(begun)
      if (existsSync(path)) return false
      throw error
    } finally {
      closeSync(fd)
    }
  }

  async remove(name: string): Promise<void> {
    const path = this.#pathOf(name)
    if (existsSync(dirname(path))) this.#ops.erase('archive.erase', path)
  }

  async #fill(fd: number, path: string, write: (append: Append) => Promise<void>): Promise<void> {
    let at = 0
    await write(async (bytes) => {
      await this.#ops.writeAside('archive.write', fd, bytes, at, path)
      at += bytes.length
    })
    await this.#ops.syncAside('archive.sync', [fd], path)
  }

  #namesIn(prefix: string): string[] {
    try {
      return readdirSync(this.#pathOf(prefix)).filter((name) => isObjectName(name))
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return []
      throw unreachable(this.name, error)
    }
  }

  #sweep(folder: string): void {
    if (!this.#swept.has(folder)) sweep(folder)
    this.#swept.add(folder)
  }

  #pathOf(name: string): string {
    if (!isObjectName(name)) throw new RangeError(`no name of an object: ${name}`)
    return join(this.name, name)
  }
}

/** Throws DISK_FULL or WRITE_FAILED. */
function openBegun(path: string): number {
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWN)
  } catch (error) {
    throw writeError(path, error)
  }
}

/** What is left is swept later: the failure before says more. */
function discard(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (systemCode(error) === '') throw error
  }
}

/** Removes what writers have left that died long ago. */
function sweep(folder: string): void {
  const old = readdirSync(folder).filter((name) => {
    const about = BEGUN.test(name) && statSync(join(folder, name), { throwIfNoEntry: false })
    return about && wallMs() - about.mtimeMs > BEGUN_LIFE_MS
  })
  for (const name of old) unlinkSync(join(folder, name))
  if (old.length > 0) syncFolder(folder)
}

async function readWhole(fd: number, at: number, bytes: number, path: string): Promise<Buffer> {
  // Filled to its end, or never given.
  const buffer = Buffer.allocUnsafeSlow(bytes)
  for (let done = 0; done < bytes; ) {
    const { bytesRead } = await readAside(fd, buffer, done, bytes - done, at + done).catch(
      (error: unknown) => {
        throw readError(path, error)
      },
    )
    if (bytesRead === 0)
      throw new WalcastError('ARCHIVE_BROKEN', { name: path, detail: 'it was cut off' })
    done += bytesRead
  }
  return buffer
}

/** A part of a disk that cannot be read is the end of what lies there. */
function readError(path: string, error: unknown): unknown {
  if (systemCode(error) !== 'EIO') return error
  return new WalcastError('ARCHIVE_BROKEN', { name: path, detail: messageOf(error) }, error)
}
