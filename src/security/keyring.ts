/**
 * Key-encryption keys. They wrap the data keys that stand in the database, and live outside it, so
 * that who reads the database, a backup or a stolen disk of one learns nothing. A node keeps them
 * in `FILE-walcast/keys/cluster.json`, field `keks`, readable by its owner only.
 *
 * Several may be known at once, by id. The latest wraps what is new; the others open what is old.
 */
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { constants, openSync, statSync } from '../platform/files.ts'
import { randomBytes } from '../platform/random.ts'
import { wallMs } from '../platform/time.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { readOpened } from './privateFile.ts'
import { KEY_BYTES, newKey } from './valueEncryption.ts'

/** A key-encryption key as files hold it. */
export interface Kek {
  /** 1 to 64 letters, digits, `_`, `.` or `-`. */
  readonly id: string
  /** 32 bytes, 64 hex digits. */
  readonly key: string
  /** ISO 8601, or milliseconds since 1970. */
  readonly createdAt: string | number
}

/** The same, ready for use. */
export interface KeyEncryptionKey {
  readonly id: string
  readonly key: Buffer
}

/** The file holds other things of the cluster as well. */
const MAX_FILE_BYTES = 16 * 1024 * 1024
const MAX_KEKS = 1000
const ID = /^[\w.-]{1,64}$/

export function newKek(): Kek {
  return {
    id: `kek-${randomBytes(6).toString('hex')}`,
    key: newKey().toString('hex'),
    createdAt: new Date(wallMs()).toISOString(),
  }
}

/** The keys of the node beside a database. Throws KEYRING_UNREADABLE or SECRET_SHARED. */
export function keyring(databasePath: string): Keyring {
  const keys = keyringBeside(databasePath)
  keys.latest()
  return keys
}

/** The same, not read before its first use. */
export function keyringBeside(databasePath: string): Keyring {
  const file = new KekFile(`${resolveDatabase(databasePath)}-walcast/keys/cluster.json`)
  return new Keyring(file.path, () => file.read())
}

export class Keyring {
  /** Where its keys come from, for people. */
  readonly origin: string
  readonly #read: () => readonly Kek[]
  /** What `#read` gave last. */
  #known: readonly Kek[] = []
  #keys = new Map<string, KeyEncryptionKey>()
  #latest: KeyEncryptionKey | undefined

  /** `read` gives the same list again as long as nothing has changed. */
  constructor(origin: string, read: () => readonly Kek[]) {
    this.origin = origin
    this.#read = read
  }

  /** A keyring of keys that the program has from elsewhere. Throws KEYRING_UNREADABLE. */
  static of(keks: readonly Kek[]): Keyring {
    const origin = 'the keys of this program'
    const checked = requireKeks(keks, origin)
    return new Keyring(origin, () => checked)
  }

  /** The key that wraps what is new. Throws what the file's `read` throws. */
  latest(): KeyEncryptionKey | undefined {
    this.#refresh()
    return this.#latest
  }

  /** Looks at the file again for a key that it does not know yet. */
  find(id: string): KeyEncryptionKey | undefined {
    const known = this.#keys.get(id)
    if (known) return known
    this.#refresh()
    return this.#keys.get(id)
  }

  #refresh(): void {
    const keks = this.#read()
    if (keks === this.#known) return
    this.#known = keks
    const inOrder = [...keks].sort(isOlder)
    this.#keys = new Map(inOrder.map(({ id, key }) => [id, { id, key: bytesOf(key) }]))
    const last = inOrder.at(-1)
    this.#latest = last && this.#keys.get(last.id)
  }
}

/** Nodes have the same keys in any order, and must agree on the latest. */
function isOlder(a: Kek, b: Kek): number {
  const byTime = timeOf(a) - timeOf(b)
  if (byTime !== 0) return byTime
  return a.id < b.id ? -1 : 1
}

function timeOf({ createdAt }: Kek): number {
  return typeof createdAt === 'number' ? createdAt : Date.parse(createdAt)
}

function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'hex')
}

/** The field `keks` of the file, read again only after a change. */
class KekFile {
  readonly path: string
  #keks: readonly Kek[] = []
  /** Tells one state of the file from another; '' when there is none. */
  #state = ''

  constructor(path: string) {
    this.path = path
  }

  /** Empty when there is no file. Throws KEYRING_UNREADABLE or SECRET_SHARED. */
  read(): readonly Kek[] {
    try {
      const found = statSync(this.path, { bigint: true, throwIfNoEntry: false })
      const state = found ? `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` : ''
      if (state === this.#state) return this.#keks
      if (found && !found.isFile()) throw unreadable(this.path, 'it is no plain file')
      this.#keks = found ? keksIn(readPrivate(this.path), this.path) : []
      this.#state = state
      return this.#keks
    } catch (error) {
      if (error instanceof WalcastError) throw error
      // A part of the path is a file.
      if (systemCode(error) === 'ENOTDIR') return []
      throw unreadable(this.path, messageOf(error), error)
    }
  }
}

function readPrivate(path: string): string {
  // A pipe that takes its place must not hold up the thread.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return readOpened(file, path, { maxBytes: MAX_FILE_BYTES })
}

/** What JSON.parse says would quote the file, and so a key. */
function keksIn(text: string, path: string): readonly Kek[] {
  let record: unknown
  try {
    record = JSON.parse(text)
  } catch {
    throw unreadable(path, 'it is not JSON')
  }
  return requireKeks(Object(record).keks ?? [], path)
}

function requireKeks(value: unknown, path: string): readonly Kek[] {
  const isList = Array.isArray(value) && value.length <= MAX_KEKS && value.every(isKek)
  if (isList) return value
  throw unreadable(path, 'a key-encryption key in it is malformed, or there are too many')
}

function isKek(value: unknown): value is Kek {
  const { id, key, createdAt } = Object(value)
  return (
    typeof id === 'string' &&
    ID.test(id) &&
    typeof key === 'string' &&
    /^[0-9a-f]{64}$/.test(key) &&
    bytesOf(key).length === KEY_BYTES &&
    (typeof createdAt === 'number' || typeof createdAt === 'string') &&
    Number.isFinite(timeOf({ id, key, createdAt }))
  )
}

function unreadable(path: string, detail: string, cause?: unknown): WalcastError {
  return new WalcastError('KEYRING_UNREADABLE', { path, detail }, cause)
}
