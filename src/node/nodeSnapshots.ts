/** The dated snapshots of a node, from its options. */
import { join } from 'node:path'
import { requireSoundDated } from '../backup/dated/datedCheckProcess.ts'
import { databaseName } from '../backup/dated/datedNames.ts'
import { DatedSnapshots } from '../backup/dated/datedSnapshots.ts'
import { requireOwnPlace } from '../backup/stores/folderPlace.ts'
import { isFolder, openStore } from '../backup/stores/openStore.ts'
import { DEFAULT_DATABASE } from '../database/database.ts'
import type { NodeSetup } from '../database/engine.ts'
import type { Metrics } from '../health/metrics.ts'
import { keepOf } from '../options/keepPolicy.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { type AuditParts, tellAudit } from './auditedChange.ts'

export interface SnapshotGround extends AuditParts {
  readonly setup: NodeSetup
  readonly stateFolder: string
  readonly metrics: Metrics
  readonly ops: FileOps
}

/** Undefined without --snapshot-every. Throws STORE_PLACE. */
export function newSnapshots(ground: SnapshotGround): DatedSnapshots | undefined {
  const { setup, stateFolder, metrics, ops } = ground
  const { options, log } = setup
  const { snapshotEveryMs: everyMs, snapshotTo: place, snapshotKeep, db } = options
  if (everyMs === undefined || place === undefined) return undefined
  if (isFolder(place)) requireOwnPlace(place, db, stateFolder)
  const counted = metrics.snapshots(() => snapshots.report())
  const snapshots: DatedSnapshots = new DatedSnapshots({
    db: DEFAULT_DATABASE,
    database: databaseName(db),
    place,
    open: () => openStore(place, ops),
    everyMs,
    keep: keepOf(snapshotKeep),
    folder: join(stateFolder, 'snapshots'),
    ops,
    log,
    check: requireSoundDated,
    onTaken: () => counted.onTaken(),
    onFailed({ key, message }, isFirst) {
      counted.onFailed(key)
      if (!isFirst) return
      const detail = `${place}: ${message}`
      tellAudit(ground, { action: 'snapshot', outcome: 'failed', by: 'schedule', detail })
    },
  })
  return snapshots
}
