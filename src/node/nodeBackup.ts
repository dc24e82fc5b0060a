/** The archive of a node's database, from its options. */
import { join } from 'node:path'
import type { BackupReport } from '../api/backupStatus.ts'
import { Archiver } from '../backup/archiver.ts'
import { openStore } from '../backup/stores/openStore.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { DEFAULT_DATABASE } from '../database/database.ts'
import type { NodeSetup } from '../database/engine.ts'
import { WalcastError } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { wallMs } from '../platform/time.ts'

export interface BackupGround {
  readonly setup: NodeSetup
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly metrics: Metrics
  readonly ops: FileOps
}

/** Undefined without --backup. Places are opened later: a node starts without them. */
export async function newArchiver({
  setup,
  stateFolder,
  nodeFile,
  metrics,
  ops,
}: BackupGround): Promise<Archiver | undefined> {
  const { options, log, version } = setup
  const { backup: places = [], backupEveryMs, backupLogBytes, backupQueueBytes } = options
  if (places.length === 0) return undefined
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
    mark() {
      const { cluster, node } = nodeFile.record
      if (cluster === '') throw new WalcastError('STARTING')
      const writer = `walcast ${version}`
      const createdMs = wallMs()
      return { cluster, db: DEFAULT_DATABASE, node, writer, codec: 'brotli', createdMs }
    },
  })
  metrics.observeBackup(() => archiver.report(wallMs()))
  return archiver
}

/** By the name of the database. */
export function backupReport(
  archiver: Archiver | undefined,
): (db: string) => BackupReport | undefined {
  return (db) => (db === DEFAULT_DATABASE ? archiver?.report(wallMs()) : undefined)
}
