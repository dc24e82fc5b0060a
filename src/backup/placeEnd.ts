/**
 * Where a place ends from which a log leads on. That may be inside a file: a new leader goes on
 * before what the old one had archived last.
 */
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { asWalcastError, keyOf, type WalcastError } from '../errors.ts'
import type { BatchLog } from './batchLog.ts'
import { isSameState, type Stand } from './batchRecord.ts'
import { lastLedOn } from './logSearch.ts'
import { endOf, placeKey } from './restorePlan.ts'
import type { LogSpans } from './segmentSpans.ts'
import { endsAt, endsOf, type FileEnds, readEnd, type StoreEnd } from './storeEnds.ts'
import type { Store } from './stores/store.ts'

/** Ends of a place that are looked at for one to go on from. */
const MAX_ENDS = 16
const MAX_LISTINGS = 4

export interface PlaceEnd extends StoreEnd {
  /** The file that has it. */
  readonly name: string
  /** The last position of that file, when it is a later one. */
  readonly leaves?: Stand
}

export interface EndSearch {
  readonly store: Store
  readonly cluster: string
  /** Where the log ends. */
  readonly present: Stand
  readonly log: BatchLog
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
  const { store, log, present } = search
  const spans = await log.spans()
  const names = await endsOf(store, present.incarnation, (name) => meets(name, spans))
  const isAhead = snapshotsAhead(names)
  let ahead: PlaceEnd | undefined
  for (const name of names.slice(0, MAX_ENDS)) {
    const ends = await endIn(search, formatArchiveName(name), skipsMissing)
    const end = ends && (await leftAt(search, ends))
    if (!end) continue
    const found = { ...end, name: formatArchiveName(name) }
    if (!isAhead(name)) return found
    ahead = found
  }
  return ahead
}

/**
 * Tells the snapshots at which no file of changes ends. One may have been taken while the place was
 * behind it: the place goes on from before it where it can, so that nothing between is missing.
 */
function snapshotsAhead(names: readonly ArchiveName[]): (name: ArchiveName) => boolean {
  const changes = names.filter(({ kind }) => kind === 'changes')
  const reached = new Set(changes.map((name) => placeKey(endOf(name))))
  return (name) => name.kind === 'snapshot' && !reached.has(placeKey(name))
}

/** Whether a position of the file may be one from which a batch of the log goes on. */
function meets(name: ArchiveName, spans: LogSpans): boolean {
  const { incarnation, txid } = endOf(name)
  const span = spans.get(incarnation)
  const first = name.kind === 'snapshot' ? txid - 1 : name.from.txid
  return span !== undefined && first < span.last && span.first <= txid
}

/** The end of the file, or else the last position inside it from which the log leads on. */
async function leftAt(
  { log, present, leadsOn }: EndSearch,
  { at, timeMs, points }: FileEnds,
): Promise<Omit<PlaceEnd, 'name'> | undefined> {
  if (isSameState(at, present) || (await leadsOn(at))) return { at, timeMs }
  const inside = points.filter((point) => point.at.txid < at.txid)
  const isPresent = inside.find((point) => isSameState(point.at, present))
  const found = isPresent ?? (await lastLedOn(log, inside))
  return found && { ...found, leaves: at }
}

async function endIn(
  { store, cluster, onBroken }: EndSearch,
  name: string,
  skipsMissing: boolean,
): Promise<FileEnds | undefined> {
  try {
    return await readEnd(store, name, cluster)
  } catch (error) {
    const key = keyOf(error)
    if (key === 'ARCHIVE_BROKEN') onBroken(name, asWalcastError(error))
    if (key === 'ARCHIVE_BROKEN' || (key === 'ARCHIVE_MISSING' && skipsMissing)) return undefined
    throw error
  }
}
