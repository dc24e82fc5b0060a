/**
 * Answers what a node asks of the past of its archive: a plan, a query, a restore. All of them find
 * a position in the same way, and go round files that cannot be used.
 */
import { join } from 'node:path'
import { formatArchiveName } from '../../../proto/archiveNames.ts'
import type { PastPosition, PastRows, RestoreResult } from '../../api/past.ts'
import { keyOf, WalcastError } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { monotonicMs } from '../../platform/time.ts'
import { checkIntegrity } from '../../sqlite/integrityCheck.ts'
import { Archive, type OnRead } from '../archive.ts'
import { ArchiveRestore, type PlannedRestore } from '../archiveRestore.ts'
import { HeldFiles } from '../heldFiles.ts'
import type { ArchivedPosition } from '../historyPositions.ts'
import { plannedBytes } from '../plannedBytes.ts'
import { ReplacedFile } from '../replacedFile.ts'
import { clusterArchive, type Wanted } from '../restoreTarget.ts'
import { pointNamed } from '../retention/namedPoints.ts'
import { isFolder } from '../stores/openStore.ts'
import type { Store } from '../stores/store.ts'
import { BoundedRows } from './boundedRows.ts'
import { OpenFiles } from './openFiles.ts'
import type { PastAnswers, PastOrder, PastState, RestoreNews } from './pastOrder.ts'
import { DOWNLOAD } from './pastOrder.ts'
import { PastPages } from './pastPages.ts'
import { PastQuery } from './pastQuery.ts'
import type { QueryBounds } from './queryMessages.ts'
import { requireDiskRoom, restoredPlace } from './restoredPlace.ts'

const MIB = 1024 * 1024
const BOUNDS: QueryBounds = { heapBytes: 192 * MIB, valueBytes: 2 * MIB, isGuarded: true }
/** Files that a plan names. */
const MAX_NAMED = 20
/** Files are merged, and then removed, while an archive is read; not as often as this. */
const MAX_TRIES = 3

type OrderOf<Kind extends PastOrder['kind']> = Extract<PastOrder, { readonly kind: Kind }>

interface Found {
  readonly run: ArchiveRestore
  readonly plan: PlannedRestore
  /** As it was listed for the plan. */
  archive(): Archive
}

export async function planOf(order: PastState, store: Store): Promise<PastAnswers['plan']> {
  const { plan, archive } = await find(order, store)
  const { target, files, bytes } = plan
  return {
    ...positionOf(target),
    place: order.place,
    isLast: target.isLast,
    files: files
      .slice(0, MAX_NAMED)
      .map(({ name, bytes: length }) => ({ name: formatArchiveName(name), bytes: length })),
    fileCount: files.length,
    bytes,
    databaseBytes: await plannedBytes(plan, archive()),
  }
}

/** Throws QUERY_FAILED. */
export async function queryPast(order: OrderOf<'query'>, store: Store): Promise<PastRows> {
  for (let tries = 1; ; tries++)
    try {
      return await queryOnce(order, store)
    } catch (error) {
      if (keyOf(error) !== 'ARCHIVE_MISSING' || tries === MAX_TRIES) throw error
    }
}

async function queryOnce(order: OrderOf<'query'>, store: Store): Promise<PastRows> {
  const asked = new PastQuery()
  const opened = new OpenFiles(store, [])
  try {
    const { plan } = await find(order, store)
    const pages = await PastPages.at(opened, plan.files, plan.target)
    const rows = new BoundedRows(order.rows)
    await asked.run(pages, order.sql, rows, { timeoutMs: order.timeoutMs, bounds: BOUNDS })
    return { ...positionOf(plan.target), ...rows.result() }
  } finally {
    await Promise.allSettled([asked.stop(), opened.close()])
  }
}

/** `tell` hears how far it is. Throws what a restore does, RESTORE_NO_ROOM and RESTORE_UNSOUND. */
export async function restorePast(
  order: OrderOf<'restore'>,
  store: Store,
  ops: FileOps,
  tell: (news: RestoreNews) => void,
): Promise<RestoreResult> {
  const beganMs = monotonicMs()
  const { target } = order
  const place = restoredPlace(target, isFolder(order.place) ? order.place : undefined)
  const replaced = place && new ReplacedFile(place, ops)
  const news = { position: '', bytes: 0, totalBytes: 0 }
  const onRead = (bytes: number) => {
    // Heads and ends of files are read more than once.
    news.bytes = Math.min(news.bytes + bytes, news.totalBytes)
    if (news.position !== '') tell(news)
  }
  const { run, plan, archive } = await find(order, store, onRead)
  requireDiskRoom(target.workFolder, await plannedBytes(plan, archive()), target.reserve)
  let integrityCheck: RestoreResult['integrityCheck'] = 'ok'
  try {
    const steps = {
      approve: async (side: string) => {
        integrityCheck = await soundness(side, plan)
        await replaced?.lock()
      },
      ...(replaced && { publish: (side: string) => replaced.replaceBy(side) }),
    }
    const restored = await run.run(join(target.workFolder, DOWNLOAD), steps, ops, (begun) => {
      const { position } = positionOf(begun.target)
      Object.assign(news, { position, bytes: 0, totalBytes: begun.bytes })
      tell(news)
    })
    const { checksum, pages, pageSize } = restored
    const tookMs = Math.round(monotonicMs() - beganMs)
    const databaseBytes = pages * pageSize
    return { ...positionOf(restored), checksum, databaseBytes, integrityCheck, tookMs }
  } finally {
    await replaced?.unlock()
  }
}

/** Throws ARCHIVE_LOCKED where the files are encrypted: a node has no keys. */
async function find(state: PastState, store: Store, onRead?: OnRead): Promise<Found> {
  const { cluster } = state
  let archive: Archive | undefined
  const run = new ArchiveRestore({
    wanted: { ...(await wantedOf(state, store)), cluster },
    isAsFarAsPossible: false,
    list: async (bad) => {
      archive = await Archive.list(store, onRead && { onRead })
      return clusterArchive(archive, cluster, bad)
    },
    ...(onRead && { held: new HeldFiles(store, () => {}) }),
  })
  const plan = await run.plan()
  return {
    run,
    plan,
    archive() {
      if (!archive) throw new RangeError('nothing is listed')
      return archive
    },
  }
}

async function wantedOf({ moment, incarnation }: PastState, store: Store): Promise<Wanted> {
  switch (moment.kind) {
    case 'newest':
      return { incarnation }
    case 'time':
      return { incarnation, atMs: moment.atMs }
    case 'txid':
      return { incarnation, txid: moment.txid }
    case 'position':
      return { incarnation, epoch: moment.epoch, txid: moment.txid }
    case 'named': {
      const { incarnation: own, txid } = await pointNamed(store, moment.name)
      return { incarnation: own, txid }
    }
  }
}

export function positionOf({ epoch, txid, incarnation, timeMs }: ArchivedPosition): PastPosition {
  return { position: `${epoch}-${txid}`, incarnation, at: new Date(timeMs).toISOString() }
}

/** Throws RESTORE_UNSOUND. */
async function soundness(
  side: string,
  { target }: PlannedRestore,
): Promise<RestoreResult['integrityCheck']> {
  const check = await checkIntegrity(side)
  if (check.outcome !== 'unsound') return check.outcome
  const detail = check.problems.join(', ')
  throw new WalcastError('RESTORE_UNSOUND', { txid: target.txid, detail })
}
