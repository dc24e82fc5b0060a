/** How a node gives the objects of its archive to those who restore from it. */

/** `GET`: names below a folder. */
export const OBJECTS_PATH = '/_walcast/archive/objects'
/** `GET`: some bytes of an object. */
export const OBJECT_PATH = '/_walcast/archive/object'
/** `POST`: a pin or a named position. `DELETE`: ends it. */
export const NOTE_PATH = '/_walcast/archive/note'

/** The most names in one answer. */
export const MAX_LISTED = 10_000
/** The most bytes in one answer: to prove them takes the node some milliseconds. */
export const MAX_RANGE_BYTES = 1024 ** 2
/** In an answer with bytes of an object: how many the whole object has. */
export const OBJECT_BYTES_HEADER = 'walcast-object-bytes'

export interface ListedObjects {
  /** Where the archive is, for people: a folder of the node, or the URL of a bucket. */
  readonly place: string
  /** In the order of their names, which is that of their bytes. */
  readonly objects: readonly { readonly name: string; readonly bytes: number }[]
  /** Whether others follow. */
  readonly isMore: boolean
  /** Which list this is a page of: all pages of one are of one moment. */
  readonly listing?: string
}

export interface ObjectRange {
  readonly bytes: Buffer
  /** Of the whole object. */
  readonly objectBytes: number
}

/** The objects of one archive, on the node that has it and for who asks that node. */
export interface ArchiveObjects {
  /**
   * Those in a folder whose names come after `after`, `MAX_LISTED` at most. `listing`: that of the
   * page before, '' for the first one. An answer with another one is of another moment.
   */
  list(folder: string, after: string, listing: string): Promise<ListedObjects>
  /**
   * Bytes of an object from `at` on: at most `bytes`, and fewer at its end. Throws ARCHIVE_MISSING,
   * and BAD_REQUEST when `at` is beyond the end.
   */
  read(name: string, at: number, bytes: number): Promise<ObjectRange>
  /**
   * Writes a pin or a named position. False when there is one of this name. Throws BAD_REQUEST for
   * anything else.
   */
  writeNote(name: string, note: object): Promise<boolean>
  /** Ends a pin or a named position; nothing when there is none. Throws BAD_REQUEST. */
  removeNote(name: string): Promise<void>
}

/** Who asks for the archive of a node. */
export interface ArchiveAsker {
  /** A token with its address, an address or this machine. */
  readonly reader: string
  /** The same with the name that it gives itself, for the audit log. */
  readonly by: string
}

export interface ArchiveDesk {
  /**
   * The archive in the place with this number, from 1, in the order of --backup, as this one
   * may have it. Throws NODE_ARCHIVE, and what opening a store throws.
   */
  open(place: number, asker: ArchiveAsker): Promise<ArchiveObjects>
}
