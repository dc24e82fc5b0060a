/** Small JSON objects of a store: pins, announced removals, names of positions. */
import { WalcastError } from '../../errors.ts'
import type { Store } from '../stores/store.ts'

/** Names of 60,000 files. */
export const MAX_NOTE_BYTES = 8 * 1024 * 1024

/** False when there is one of this name. */
export function writeNote(store: Store, name: string, value: object): Promise<boolean> {
  const bytes = Buffer.from(JSON.stringify(value))
  if (bytes.length > MAX_NOTE_BYTES)
    throw new RangeError(`${name} has ${bytes.length} bytes, and ${MAX_NOTE_BYTES} at most`)
  return store.create(name, (append) => append(bytes))
}

/** Undefined when it was removed meanwhile. Throws ARCHIVE_BROKEN, also past `maxBytes`. */
export async function readNote(
  store: Store,
  name: string,
  maxBytes = MAX_NOTE_BYTES,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  let text: string
  try {
    const object = await store.open(name)
    try {
      if (object.bytes > maxBytes) throw broken(name, 'it is too long')
      text = (await object.read(0, object.bytes)).toString()
    } finally {
      await object.close()
    }
  } catch (error) {
    if (error instanceof WalcastError && error.key === 'ARCHIVE_MISSING') return undefined
    throw error
  }
  try {
    return Object(JSON.parse(text))
  } catch (error) {
    throw broken(name, 'it is not JSON', error)
  }
}

export function namesIn(note: Readonly<Record<string, unknown>>): readonly string[] {
  const { files } = note
  return Array.isArray(files) ? files.filter((each) => typeof each === 'string') : []
}

function broken(name: string, detail: string, cause?: unknown): WalcastError {
  return new WalcastError('ARCHIVE_BROKEN', { name, detail }, cause)
}
