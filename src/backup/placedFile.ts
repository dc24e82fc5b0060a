/**
 * Puts a file into a place. One of its name that is there already stays when it is whole and ends
 * in the same state, as files of one position are alike whoever writes them. One that is not whole
 * is written again: what it should hold is at hand.
 */
import { parseArchiveName } from '../../proto/archiveNames.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { pieceName } from './restorePlan.ts'
import { forgetBroken, noteIdOf } from './retention/brokenNotes.ts'
import { readEnd } from './storeEnds.ts'
import type { Append, Store } from './stores/store.ts'

export interface FileEnd {
  readonly txid: number
  /** That the file gives to its last position. */
  readonly checksum: string
}

/** Throws ARCHIVE_MISMATCH when a whole file of this name ends in another state. */
export type PlaceFile = (
  name: string,
  end: FileEnd,
  write: (append: Append) => Promise<void>,
) => Promise<void>

export interface PlacingHost {
  /** Nothing more is to be written. */
  isGivenUp(): boolean
  onWritten(bytes: number): void
  /** Whether a file is known to be bad, whatever its end says. */
  isUnsound(name: string): boolean
  /** A file was not whole. */
  onReplaced(name: string): void
}

export function placingIn(store: Store, cluster: string, host: PlacingHost): PlaceFile {
  return async (name, end, write) => {
    const create = () =>
      store.create(name, (append) =>
        write((bytes) => {
          if (host.isGivenUp()) throw new WalcastError('STOPPING')
          host.onWritten(bytes.length)
          return append(bytes)
        }),
      )
    if (await create()) return
    if (!host.isUnsound(name) && (await isThere(store, cluster, name, end))) return
    host.onReplaced(name)
    await store.remove(name)
    await create()
    await forgetNote(store, name)
  }
}

/** What was written again is sound. A note that stays makes no more than a snapshot stay. */
async function forgetNote(store: Store, name: string): Promise<void> {
  const parsed = parseArchiveName(name)
  if (parsed) await forgetBroken(store, [noteIdOf(pieceName(parsed))])
}

async function isThere(
  store: Store,
  cluster: string,
  name: string,
  { txid, checksum }: FileEnd,
): Promise<boolean> {
  try {
    const found = (await readEnd(store, name, cluster))?.at.checksum
    // Only the recipients of an encrypted file know what is in it.
    if (found === '' || found === checksum) return true
    const detail = `${name} ends at ${found ?? 'no position'} in place of ${checksum}`
    throw new WalcastError('ARCHIVE_MISMATCH', { txid, detail })
  } catch (error) {
    const key = keyOf(error)
    if (key === 'ARCHIVE_BROKEN' || key === 'ARCHIVE_MISSING') return false
    throw error
  }
}
