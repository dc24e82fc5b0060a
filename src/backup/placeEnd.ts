/** Where a place ends from which a log leads on. */
import { asWalcastError, keyOf, type WalcastError } from '../errors.ts'
import { isSameState, type Stand } from './batchRecord.ts'
import { endsAt, endsOf, readEnd, type StoreEnd } from './storeEnds.ts'
import type { Store } from './stores/store.ts'

/** Ends of a place that are looked at for one to go on from. */
const MAX_ENDS = 16
const MAX_LISTINGS = 4

export interface PlaceEnd extends StoreEnd {
  /** The file that has it. */
  readonly name: string
}

export interface EndSearch {
  readonly store: Store
  readonly cluster: string
  /** Where the log ends. */
  readonly present: Stand
  /** Whether something in the log goes on from there. */
  leadsOn(at: Stand): Promise<boolean>
  /** The file cannot be read for good: an older end has to do. */
  onBroken(name: string, error: WalcastError): void
}

/**
 * The newest position of the place that a snapshot leads to and the log leads on from, or ends at.
 * Throws ARCHIVE_FOREIGN.
 */
export async function findPlaceEnd(search: EndSearch): Promise<PlaceEnd | undefined> {
  for (let listing = 1; listing < MAX_LISTINGS; listing++)
    try {
      return await findListed(search, false)
    } catch (error) {
      // Another process has merged a file away that was listed.
      if (keyOf(error) !== 'ARCHIVE_MISSING') throw error
    }
  return findListed(search, true)
}

/** Whether a snapshot and what follows it still lead to `at`. */
export async function isReached(store: Store, at: Stand): Promise<boolean> {
  for (let listing = 1; listing <= MAX_LISTINGS; listing++)
    // Another process may move a file from one folder to another while they are listed.
    if (await endsAt(store, at)) return true
  return false
}

async function findListed(search: EndSearch, skipsMissing: boolean): Promise<PlaceEnd | undefined> {
  const { store, present, leadsOn } = search
  const names = await endsOf(store, present.incarnation)
  for (const name of names.slice(0, MAX_ENDS)) {
    const end = await endIn(search, name, skipsMissing)
    if (end && (isSameState(end.at, present) || (await leadsOn(end.at)))) return { ...end, name }
  }
  return undefined
}

async function endIn(
  { store, cluster, onBroken }: EndSearch,
  name: string,
  skipsMissing: boolean,
): Promise<StoreEnd | undefined> {
  try {
    return await readEnd(store, name, cluster)
  } catch (error) {
    const key = keyOf(error)
    if (key === 'ARCHIVE_BROKEN') onBroken(name, asWalcastError(error))
    if (key === 'ARCHIVE_BROKEN' || (key === 'ARCHIVE_MISSING' && skipsMissing)) return undefined
    throw error
  }
}
