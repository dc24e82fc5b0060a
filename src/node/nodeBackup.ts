/** The archive of a node's database, from its options. */
import { join } from 'node:path'
import { formatPosition } from '../../proto/position.ts'
import type { ArchiveDesk } from '../api/archiveObjects.ts'
import { ARCHIVIST_PATH, type ArchivistDesk } from '../api/archivist.ts'
import type { BackupReport } from '../api/backupStatus.ts'
import { onlyDatabase } from '../api/databases.ts'
import type { ArchivedWaits } from '../backup/archivedWaits.ts'
import { Archiver } from '../backup/archiver.ts'
import { ArchivistGrant } from '../backup/archivistGrant.ts'
import { withDrills } from '../backup/drill/drillReport.ts'
import type { Drills } from '../backup/drill/drills.ts'
import { HeldListings } from '../backup/heldListings.ts'
import { RecentKeys } from '../backup/recentKeys.ts'
import { ServedArchive } from '../backup/servedArchive.ts'
import { isOnDiskOf, requireOwnPlace } from '../backup/stores/folderPlace.ts'
import { isFolder, openStore } from '../backup/stores/openStore.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import { type Database, DEFAULT_DATABASE } from '../database/database.ts'
import type { NodeSetup } from '../database/engine.ts'
import { WalcastError } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import { keepOf } from '../options/keepPolicy.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { monotonicMs, wallMs } from '../platform/time.ts'
import { readRecipients } from '../security/backupKeyFiles.ts'
import { AuditedArchive } from './auditedArchive.ts'
import { type AuditParts, tellAudit } from './auditedChange.ts'

export interface BackupGround {
  readonly setup: NodeSetup
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly metrics: Metrics
  readonly ops: FileOps
  readonly calls: PeerCalls
  readonly archived: ArchivedWaits
}

/** Undefined without --backup. Places are opened later: a node starts without them. */
export async function newArchiver({
  setup,
  stateFolder,
  nodeFile,
  metrics,
  ops,
  calls,
  archived,
}: BackupGround): Promise<Archiver | undefined> {
  const { options, log, version } = setup
  const {
    backup: places = [],
    backupEveryMs,
    backupLogBytes,
    backupQueueBytes,
    backupAlertMs,
    backupRecipients,
    keep,
    keepEveryMs,
  } = options
  if (places.length === 0) return undefined
  requirePlaces(places, options.db, stateFolder, log)
  const recipients = backupRecipients ? readRecipients(backupRecipients) : undefined
  const keys = new RecentKeys(monotonicMs)
  return Archiver.open({
    db: DEFAULT_DATABASE,
    folder: join(stateFolder, 'backup'),
    places,
    open: (place) => openStore(place, ops),
    limits: { maxBytes: backupLogBytes, maxPendingBytes: backupQueueBytes },
    everyMs: backupEveryMs,
    alertMs: backupAlertMs,
    keep: keepOf(keep),
    keepEveryMs,
    log,
    ops,
    observer: metrics.backup(),
    on: options.backupOn,
    archived,
    async ask(leader, at, declines) {
      const { node } = nodeFile.record
      const archived = at && { archived: formatPosition(at) }
      const asked = { node, ...(declines ? { declines: 'true' } : archived) }
      const answer = await calls.tell(leader, ARCHIVIST_PATH, asked, options.peerTimeoutMs)
      const { archives, hasOthers } = answer
      return { archives: archives === true, hasOthers: hasOthers === true }
    },
    mark() {
      const { cluster, node } = nodeFile.record
      if (cluster === '') throw new WalcastError('STARTING')
      const writer = `walcast ${version}`
      const createdMs = wallMs()
      const mark = { cluster, db: DEFAULT_DATABASE, node, writer, createdMs }
      return { ...mark, codec: 'brotli', recipients, keys }
    },
  })
}

/** Throws STORE_PLACE for a folder of the database itself, and warns of one on its disk. */
function requirePlaces(
  places: readonly string[],
  db: string,
  stateFolder: string,
  log: NodeSetup['log'],
): void {
  for (const place of places.filter(isFolder)) {
    requireOwnPlace(place, db, stateFolder)
    if (isOnDiskOf(place, db))
      log.warn(
        { place },
        'the archive is on the disk of the database, so that a disk that fails takes both; ' +
          'is another disk not mounted there?',
      )
  }
}

/** Where replicas of this node ask whether they archive. */
export function archivistDesk({
  archiver,
  archived,
  databases,
}: {
  readonly archiver: Archiver | undefined
  readonly archived: ArchivedWaits
  readonly databases: ReadonlyMap<string, Database>
}): ArchivistDesk {
  if (archiver) return archiver.archivist
  const { view } = onlyDatabase(databases)
  return new ArchivistGrant({
    role: () => view.role(),
    mayArchive: false,
    onArchived: (at) => archived.hear(at, view.position()),
    nowMs: monotonicMs,
  })
}

/** Where commands read the archive of this node. `noted`: where entries of pins and names go. */
export function archiveDesk(
  {
    archiver,
    nodeFile,
  }: Pick<BackupGround, 'nodeFile'> & { readonly archiver: Archiver | undefined },
  noted: AuditParts,
): ArchiveDesk {
  const listings = new HeldListings()
  return {
    async open(number, { reader, by }) {
      const store = await archiver?.storeOf(number)
      if (!store) {
        const detail = archiver ? `its --backup has no place ${number}` : 'it archives nothing'
        throw new WalcastError('NODE_ARCHIVE', { node: nodeFile.record.node, detail })
      }
      const objects = new ServedArchive(store, wallMs, listings, `${number} ${reader}`)
      return new AuditedArchive({ ...noted, objects, place: number, by })
    },
  }
}

/** `reader`: as the audit log names it. */
export function tellArchiveRead(parts: AuditParts, reader: string, place: number): void {
  const detail = `place ${place} of --backup`
  tellAudit(parts, { action: 'archive-read', outcome: 'done', by: reader, detail })
}

/** By the name of the database. */
export function backupReport({
  archiver,
  drills,
}: {
  readonly archiver: Archiver | undefined
  readonly drills: Drills | undefined
}): (db: string) => BackupReport | undefined {
  return (db) => (db === DEFAULT_DATABASE && archiver ? reportOf(archiver, drills) : undefined)
}

export function reportOf(archiver: Archiver, drills: Drills | undefined): BackupReport {
  const nowMs = wallMs()
  const report = archiver.report()
  if (!drills) return report
  return { ...report, places: report.places.map((place) => withDrills(place, drills, nowMs)) }
}
