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
import { isPoint, MAX_NAMED_POINTS } from './retention/namedPoints.ts'
import { writeNote } from './retention/noteObject.ts'
import { isPin } from './retention/pins.ts'
import type { Store } from './stores/store.ts'
import { isObjectName } from './stores/store.ts'

const FOLDER = /^(?:snapshots|changes\/\d|pins|removals|points|broken)$/
/** Pins of all readers: whoever pins more does not end what it began. */
const MAX_PINS = 1000

export class ServedArchive implements ArchiveObjects {
  readonly #store: Store
  readonly #nowMs: () => number

  /** `nowMs`: since 1970. */
  constructor(store: Store, nowMs: () => number) {
    this.#store = store
    this.#nowMs = nowMs
  }

  async list(folder: string, after: string): Promise<ListedObjects> {
    if (!FOLDER.test(folder)) throw badRequest('folder is none of an archive')
    const all = await this.#store.list(folder)
    const left = after === '' ? [...all] : all.filter(({ name }) => name > after)
    left.sort((a, b) => (a.name < b.name ? -1 : 1))
    const isMore = left.length > MAX_LISTED
    const objects = left.slice(0, MAX_LISTED).map(({ name, bytes }) => ({ name, bytes }))
    return { place: this.#store.name, objects, isMore }
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
