/**
 * Where an archive is kept. An object has a name, is written once and whole, and never changes: a
 * reader sees all of it or nothing.
 */
import type { ByteSource } from '../archiveFile.ts'

export interface StoredObject {
  /** Parts of letters, digits, `_`, `.` and `-`, divided by `/`; no part begins with a dot. */
  readonly name: string
  readonly bytes: number
}

export interface OpenObject extends ByteSource {
  close(): Promise<void>
}

/** Takes the next bytes of an object. They may be changed once it has resolved. */
export type Append = (bytes: Uint8Array) => Promise<void>

export interface Store {
  /** For people: a folder, or the URL of a place. */
  readonly name: string
  /** Objects whose names begin with the folder `prefix` (`changes/0`), in no order. */
  list(prefix: string): Promise<readonly StoredObject[]>
  /** Throws ARCHIVE_MISSING when there is none. */
  open(name: string): Promise<OpenObject>
  /**
   * Makes an object of what `write` appends. False when one of this name is there already, which
   * stays as it is: two writers of one archive do no harm. Throws what `write` throws, and leaves
   * nothing then.
   */
  create(name: string, write: (append: Append) => Promise<void>): Promise<boolean>
  /** Nothing when there is none. */
  remove(name: string): Promise<void>
}

const NAME = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/
const MAX_NAME_CHARS = 200

/** Whether an object may have this name. */
export function isObjectName(name: string): boolean {
  return name.length <= MAX_NAME_CHARS && NAME.test(name)
}
