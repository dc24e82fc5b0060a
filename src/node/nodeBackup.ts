/** The archive of a node's database, from its options. */
import { join } from 'node:path'
import { ARCHIVIST_PATH, type ArchivistDesk } from '../api/archivist.ts'
import type { BackupReport } from '../api/backupStatus.ts'
import { onlyDatabase } from '../api/databases.ts'
import { Archiver } from '../backup/archiver.ts'
import { grantingDesk } from '../backup/archivist.ts'
import { isOnDiskOf, requireOwnPlace } from '../backup/stores/folderPlace.ts'
import { isFolder, openStore } from '../backup/stores/openStore.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import { type Database, DEFAULT_DATABASE } from '../database/database.ts'
import type { NodeSetup } from '../database/engine.ts'
import { WalcastError } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { monotonicMs, wallMs } from '../platform/time.ts'
import { readRecipients } from '../security/backupKeyFiles.ts'

export interface BackupGround {
  readonly setup: NodeSetup
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly metrics: Metrics
  readonly ops: FileOps
  readonly calls: PeerCalls
}

/** Undefined without --backup. Places are opened later: a node starts without them. */
export async function newArchiver({
  setup,
  stateFolder,
  nodeFile,
  metrics,
  ops,
  calls,
}: BackupGround): Promise<Archiver | undefined> {
  const { options, log, version } = setup
  const {
    backup: places = [],
    backupEveryMs,
    backupLogBytes,
    backupQueueBytes,
    backupRecipients,
  } = options
  if (places.length === 0) return undefined
  requirePlaces(places, options.db, stateFolder, log)
  const recipients = backupRecipients && readRecipients(backupRecipients)
  const archiver = await Archiver.open({
    db: DEFAULT_DATABASE,
    folder: join(stateFolder, 'backup'),
    places,
    open: (place) => openStore(place, ops),
    limits: { maxBytes: backupLogBytes, maxPendingBytes: backupQueueBytes },
    everyMs: backupEveryMs,
    log,
    ops,
    observer: metrics.backup(),
    on: options.backupOn,
    async ask(leader) {
      const { node } = nodeFile.record
      const { archives } = await calls.tell(leader, ARCHIVIST_PATH, { node }, options.peerTimeoutMs)
      return { archives: archives === true }
    },
    mark() {
      const { cluster, node } = nodeFile.record
      if (cluster === '') throw new WalcastError('STARTING')
      const writer = `walcast ${version}`
      const createdMs = wallMs()
      const mark = { cluster, db: DEFAULT_DATABASE, node, writer, createdMs }
      return { ...mark, codec: 'brotli', recipients: recipients || undefined }
    },
  })
  metrics.observeBackup(() => archiver.report(wallMs()))
  return archiver
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
  databases,
}: {
  readonly archiver: Archiver | undefined
  readonly databases: ReadonlyMap<string, Database>
}): ArchivistDesk {
  if (archiver) return archiver.archivist
  const { view } = onlyDatabase(databases)
  return grantingDesk(() => view.role() === 'leader', monotonicMs)
}

/** By the name of the database. */
export function backupReport(
  archiver: Archiver | undefined,
): (db: string) => BackupReport | undefined {
  return (db) => (db === DEFAULT_DATABASE ? archiver?.report(wallMs()) : undefined)
}
