/**
 * One drill: restores the newest position of a place as `walcast restore` would, and looks at what
 * came of it. Where the place is encrypted, and so cannot be restored here, it reads every file and
 * compares every checksum in it.
 *
 * A file that is not sound fails the drill, also where another way leads to the same position: the
 * next restore may need it.
 */
import { join } from 'node:path'
import { type ArchiveName, formatArchiveName } from '../../../proto/archiveNames.ts'
import { formatPosition } from '../../../proto/position.ts'
import { keyOf, WalcastError } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { checkIntegrity } from '../../sqlite/integrityCheck.ts'
import { Archive } from '../archive.ts'
import { ArchiveEnvelope } from '../archiveEnvelope.ts'
import { ArchiveRestore } from '../archiveRestore.ts'
import { isOfOneFile } from '../contentFailures.ts'
import type { BadPieces } from '../historyPositions.ts'
import { plannedBytes } from '../plannedBytes.ts'
import { endOf, planRestore } from '../restorePlan.ts'
import { clusterArchive } from '../restoreTarget.ts'
import type { Store } from '../stores/store.ts'
import { requireCheck } from './drillCheck.ts'
import type { DrillKind, DrillOrder } from './drillOrder.ts'
import { requireRoom } from './drillRoom.ts'

/** Whoever merges files removes them too, and not as often as this within one drill. */
const MAX_TRIES = 3

/**
 * Leaves files in the folder of the order. Throws what a restore does, RESTORE_UNSOUND,
 * DRILL_MISMATCH, DRILL_CHECK_FAILED and DRILL_NO_ROOM.
 */
export async function drill(order: DrillOrder, store: Store, ops: FileOps): Promise<DrillKind> {
  try {
    await prove(order, store, ops)
    return 'proven'
  } catch (error) {
    if (keyOf(error) !== 'ARCHIVE_LOCKED') throw error
    await check(order, store)
    return 'checked'
  }
}

/** Files that were merged while the archive was read are gone: then it is read again. */
async function prove(order: DrillOrder, store: Store, ops: FileOps): Promise<void> {
  for (let tries = 1; ; tries++) {
    const bad: BadPieces = new Map()
    try {
      await restoreNewest(order, store, ops, bad)
      for (const error of bad.values()) if (error.key !== 'ARCHIVE_MISSING') throw error
      return
    } catch (error) {
      if (!isOfOneFile(error)) throw error
      const found = [...bad.values()]
      const isGone = found.some(({ key }) => key === 'ARCHIVE_MISSING')
      // It says which file, where a gap says that there is none.
      if (!isGone || tries === MAX_TRIES) throw found[0] ?? error
    }
  }
}

/** Files that cannot be used are added to `bad`. */
async function restoreNewest(
  order: DrillOrder,
  store: Store,
  ops: FileOps,
  bad: BadPieces,
): Promise<void> {
  const { cluster, folder, target } = order
  let archive = await Archive.list(store)
  let unsound: BadPieces = new Map()
  const run = new ArchiveRestore({
    wanted: { cluster, incarnation: target.incarnation, txid: target.txid },
    isAsFarAsPossible: false,
    list: async (found) => {
      unsound = found
      archive = await Archive.list(store)
      return clusterArchive(archive, cluster, found)
    },
  })
  const approve = async (side: string) => {
    await requireSound(side, order)
    if (order.check) await requireCheck(side, order.check, formatPosition(target))
  }
  try {
    requireRoom(folder, await plannedBytes(await run.plan(), archive), order.reserve)
    // Only this process reads the file: it need not survive a crash.
    const unsynced = { ...ops, syncAside: async () => {} }
    const path = join(folder, 'drill.db')
    const restored = await run.run(path, { approve }, unsynced, () => {})
    requireOwn(restored.checksum, order)
  } finally {
    for (const [name, error] of unsound) bad.set(name, error)
  }
}

/** Throws RESTORE_UNSOUND. */
async function requireSound(side: string, { target }: DrillOrder): Promise<void> {
  const check = await checkIntegrity(side)
  if (check.outcome !== 'unsound') return
  const detail = check.problems.join(', ')
  throw new WalcastError('RESTORE_UNSOUND', { txid: target.txid, detail })
}

/** Throws DRILL_MISMATCH. */
function requireOwn(theirs: string, { checksum: mine, target }: DrillOrder): void {
  if (mine === undefined || mine === theirs) return
  throw new WalcastError('DRILL_MISMATCH', { position: formatPosition(target), theirs, mine })
}

/** Throws ARCHIVE_GAP when no files lead to the target, and ARCHIVE_BROKEN. */
async function check({ target }: DrillOrder, store: Store): Promise<void> {
  const { files } = await Archive.list(store)
  if (!planRestore(files, target))
    throw new WalcastError('ARCHIVE_GAP', {
      name: `position ${formatPosition(target)}`,
      detail: 'files are missing',
    })
  for (const { name } of files)
    try {
      await checkFile(store, name)
    } catch (error) {
      if (keyOf(error) !== 'ARCHIVE_MISSING' || (await isThere(store, name))) throw error
    }
}

async function checkFile(store: Store, name: ArchiveName): Promise<void> {
  const source = await store.open(formatArchiveName(name))
  try {
    const envelope = await ArchiveEnvelope.open(source)
    if (envelope.header.incarnation !== endOf(name).incarnation)
      throw new WalcastError('ARCHIVE_BROKEN', {
        name: source.name,
        detail: 'it holds something else than its name says',
      })
    await envelope.checkBlocks()
  } finally {
    await source.close()
  }
}

/** Files that were merged meanwhile are gone. */
async function isThere(store: Store, name: ArchiveName): Promise<boolean> {
  const { files } = await Archive.list(store)
  return files.some((file) => formatArchiveName(file.name) === formatArchiveName(name))
}
