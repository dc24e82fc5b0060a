/**
 * The archive of a node for those who restore from it over the network. They read objects of an
 * archive and nothing else that lies in the same place. They write nothing but pins, which hold
 * what they read, and names of positions. Each answer is bounded.
 */
import {
  type ArchiveObjects,
  type ListedObjects,
  MAX_LISTED,
  MAX_RANGE_BYTES,
  type ObjectRange,
} from '../api/archiveObjects.ts'
import { WalcastError } from '../errors.ts'
import type { HeldListings } from './heldListings.ts'
import { isPoint, MAX_NAMED_POINTS } from './retention/namedPoints.ts'
import { writeNote } from './retention/noteObject.ts'
import { isPin, pinnedUntil } from './retention/pins.ts'
import { isObjectName, type Store, type StoredObject } from './stores/store.ts'

const FOLDER = /^(?:snapshots|changes\/\d|pins|removals|points|broken)$/
/** Pins of all readers: whoever pins more does not end what it began. */
const MAX_PINS = 1000

export class ServedArchive implements ArchiveObjects {
  readonly #store: Store
  readonly #nowMs: () => number
  readonly #listings: HeldListings
  readonly #reader: string

  /** `nowMs`: since 1970. `reader`: who asks, and which place. */
  constructor(store: Store, nowMs: () => number, listings: HeldListings, reader: string) {
    this.#store = store
    this.#nowMs = nowMs
    this.#listings = listings
    this.#reader = reader
  }

  async list(folder: string, after: string, listing: string): Promise<ListedObjects> {
    if (!FOLDER.test(folder)) throw badRequest('folder is none of an archive')
    const held = this.#listings.find(this.#reader, folder, listing)
    const all = held?.objects ?? (await this.#sorted(folder))
    const from = after === '' ? 0 : firstAfter(all, after)
    const isMore = from + MAX_LISTED < all.length
    const objects = all.slice(from, from + MAX_LISTED).map(({ name, bytes }) => ({ name, bytes }))
    const page = { place: this.#store.name, objects, isMore }
    if (held && !isMore) this.#listings.end(held.id)
    if (held) return { ...page, listing: held.id }
    // Who asks for a later page of a list that is gone begins again.
    if (!isMore || after !== '') return page
    return { ...page, listing: this.#listings.hold(this.#reader, folder, all).id }
  }

  async read(name: string, at: number, bytes: number): Promise<ObjectRange> {
    requireArchiveObject(name)
    if (bytes > MAX_RANGE_BYTES) throw badRequest(`bytes is above ${MAX_RANGE_BYTES}`)
    const object = await this.#store.open(name)
    try {
      const objectBytes = object.bytes
      if (at > objectBytes) throw badRequest(`at is beyond the end, which is at ${objectBytes}`)
      return { bytes: await object.read(at, Math.min(bytes, objectBytes - at)), objectBytes }
    } finally {
      await object.close()
    }
  }

  async writeNote(name: string, note: object): Promise<boolean> {
    const isKnown = isPin(name, note, this.#nowMs()) || isPoint(name, note)
    if (!isKnown && isPin(name, note, pinnedUntil(name)))
      throw badRequest('the clock of who reads differs by more than a day from that of the node')
    if (!isKnown || !isObjectName(name)) throw badRequest('it is neither a pin nor a position')
    const [folder, most] = name.startsWith('pins/')
      ? (['pins', MAX_PINS] as const)
      : (['points', MAX_NAMED_POINTS] as const)
    const isFull = (await this.#store.list(folder)).length >= most
    if (isFull) throw badRequest(`the archive has ${most} ${folder} already`)
    return writeNote(this.#store, name, note)
  }

  async removeNote(name: string): Promise<void> {
    if (!/^(?:pins|points)\//.test(name) || !isObjectName(name))
      throw badRequest('it is neither a pin nor a position')
    await this.#store.remove(name)
  }

  async #sorted(folder: string): Promise<readonly StoredObject[]> {
    return [...(await this.#store.list(folder))].sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

/** `objects`: in the order of their names. */
function firstAfter(objects: readonly StoredObject[], after: string): number {
  let [low, high] = [0, objects.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (objects[middle].name > after) high = middle
    else low = middle + 1
  }
  return low
}

/** Throws BAD_REQUEST. */
function requireArchiveObject(name: string): void {
  const folder = name.slice(0, Math.max(0, name.lastIndexOf('/')))
  if (!isObjectName(name) || !FOLDER.test(folder))
    throw badRequest('name is not that of an object of an archive')
}

function badRequest(detail: string): WalcastError {
  return new WalcastError('BAD_REQUEST', { detail })
}
