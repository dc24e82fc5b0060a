/**
 * The archive of a node that is asked over the network. It is read, and never written to: but for
 * pins, which hold what is read, and names of positions. The node may be of another make, so what
 * it answers is compared with what it was asked for.
 */
import {
  type ArchiveObjects,
  type ListedObjects,
  MAX_RANGE_BYTES,
} from '../../api/archiveObjects.ts'
import { keyOf, WalcastError } from '../../errors.ts'
import { MAX_NOTE_BYTES } from '../retention/noteObject.ts'
import {
  type Append,
  isObjectName,
  type OpenObject,
  type Store,
  type StoredObject,
} from './store.ts'

/** These come with the question how large an object is: a small one takes no second question. */
const HEAD_BYTES = 256 * 1024
/**
 * Objects of all folders: more than an archive has that nothing merges for a week. In memory they
 * are about a gigabyte.
 */
const MAX_OBJECTS = 2_000_000
/** Folders that a node of an earlier version refuses to list: it has nothing there. */
const LATER_FOLDERS: ReadonlySet<string> = new Set(['broken'])
/** The node forgets a list that it is not asked for in time, or that others need the room of. */
const MAX_LISTINGS = 4

export class NodeStore implements Store {
  readonly name: string
  readonly #objects: ArchiveObjects
  readonly #maxObjects: number
  /** How many objects each folder had, or has so far. */
  readonly #counts = new Map<string, number>()

  /** `name`: the place as people name it. */
  constructor(name: string, objects: ArchiveObjects, maxObjects = MAX_OBJECTS) {
    this.name = name
    this.#objects = objects
    this.#maxObjects = maxObjects
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    requireName(prefix)
    for (let listing = 1; listing <= MAX_LISTINGS; listing++) {
      const found = await this.#listed(prefix)
      if (found) return found
    }
    throw this.#strange(`with ${MAX_LISTINGS} lists of which it gave the beginning only`)
  }

  /** Undefined when a later page was of another moment. */
  async #listed(prefix: string): Promise<readonly StoredObject[] | undefined> {
    const found: StoredObject[] = []
    let listing = ''
    for (let after = ''; ; after = found[found.length - 1].name) {
      const page = await this.#page(prefix, after, listing)
      const { objects, isMore } = page
      if (after !== '' && (page.listing ?? '') !== listing) return undefined
      listing = page.listing ?? ''
      for (const { name, bytes } of objects) {
        const last = found[found.length - 1]?.name ?? ''
        if (!isObjectName(name) || !name.startsWith(`${prefix}/`) || name <= last)
          throw this.#strange('with a list that is not the one of the folder')
        found.push({ name, bytes })
      }
      this.#counts.set(prefix, found.length)
      const all = [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
      if (!isMore && all <= this.#maxObjects) return found
      if (objects.length === 0 || all > this.#maxObjects)
        throw this.#strange('with a list that does not end')
    }
  }

  async #page(prefix: string, after: string, listing: string): Promise<ListedObjects> {
    try {
      return await this.#objects.list(prefix, after, listing)
    } catch (error) {
      if (!LATER_FOLDERS.has(prefix) || keyOf(error) !== 'BAD_REQUEST') throw error
      return { place: this.name, objects: [], isMore: false }
    }
  }

  async open(name: string): Promise<OpenObject> {
    requireName(name)
    const { bytes: head, objectBytes } = await this.#objects.read(name, 0, HEAD_BYTES)
    if (head.length !== Math.min(HEAD_BYTES, objectBytes)) throw this.#otherBytes()
    return {
      name: `${this.name}: ${name}`,
      bytes: objectBytes,
      read: async (at, bytes) => {
        if (at + bytes > objectBytes) throw broken(name, 'it was cut off')
        if (at + bytes <= head.length) return head.subarray(at, at + bytes)
        return this.#readAll(name, objectBytes, at, bytes)
      },
      close: async () => {},
    }
  }

  async create(name: string, write: (append: Append) => Promise<void>): Promise<boolean> {
    requireName(name)
    if (!isNote(name)) throw this.#refusal(`write ${name}`)
    const pieces: Buffer[] = []
    let bytes = 0
    await write(async (piece) => {
      bytes += piece.length
      if (bytes > MAX_NOTE_BYTES) throw this.#refusal(`write ${name}, which is too large`)
      pieces.push(Buffer.from(piece))
    })
    return this.#objects.writeNote(name, Object(JSON.parse(Buffer.concat(pieces).toString())))
  }

  async remove(name: string): Promise<void> {
    requireName(name)
    if (!isNote(name)) throw this.#refusal(`remove ${name}`)
    await this.#objects.removeNote(name)
  }

  async #readAll(name: string, objectBytes: number, at: number, bytes: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let done = 0; done < bytes; ) {
      const wanted = Math.min(bytes - done, MAX_RANGE_BYTES)
      const range = await this.#objects.read(name, at + done, wanted)
      if (range.objectBytes !== objectBytes) throw broken(name, 'it was replaced while it was read')
      if (range.bytes.length !== wanted) throw this.#otherBytes()
      pieces.push(range.bytes)
      done += wanted
    }
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, bytes)
  }

  #otherBytes(): WalcastError {
    return this.#strange('with other bytes than it was asked for')
  }

  #strange(detail: string): WalcastError {
    return new WalcastError('NODE_ANSWER', { url: this.name, detail })
  }

  #refusal(what: string): WalcastError {
    const advice = 'name the place itself, its folder or s3://BUCKET/PREFIX, and not a node'
    return new WalcastError('STORE_REFUSED', { store: this.name, what, advice })
  }
}

function isNote(name: string): boolean {
  return name.startsWith('pins/') || name.startsWith('points/')
}

function requireName(name: string): void {
  if (!isObjectName(name)) throw new RangeError(`no name of an object: ${name}`)
}

function broken(name: string, detail: string): WalcastError {
  return new WalcastError('ARCHIVE_BROKEN', { name, detail })
}
