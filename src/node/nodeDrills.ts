/** The drills of a node's archive, from its options. */
import { join } from 'node:path'
import type { Databases } from '../api/databases.ts'
import { onlyDatabase } from '../api/databases.ts'
import type { Archiver } from '../backup/archiver.ts'
import { unfitness } from '../backup/drill/drillCheck.ts'
import { clearFolder, runDrill } from '../backup/drill/drillProcess.ts'
import { type DrillFailure, type DrillProof, DrillRecords } from '../backup/drill/drillRecords.ts'
import { Drills } from '../backup/drill/drills.ts'
import { nextTimeOf } from '../backup/drill/drillTimes.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { NodeSetup } from '../database/engine.ts'
import { messageOf } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { type AuditParts, tellAudit } from './auditedChange.ts'
import { reportOf } from './nodeBackup.ts'

export interface DrillGround extends AuditParts {
  readonly setup: NodeSetup
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly databases: Databases
  readonly metrics: Metrics
  readonly ops: FileOps
  readonly archiver: Archiver | undefined
}

/** Who asked for a drill, in the audit log. */
const BY = 'schedule'

/** Undefined without --backup, and with --drill off. Metrics of the archive have both. */
export function newDrills(ground: DrillGround): Drills | undefined {
  const { archiver, metrics } = ground
  if (!archiver) return undefined
  const drills = drillsOf(ground, archiver)
  metrics.observeBackup(() => reportOf(archiver, drills))
  return drills
}

function drillsOf(ground: DrillGround, archiver: Archiver): Drills | undefined {
  const { setup, stateFolder, nodeFile, databases, metrics, ops } = ground
  const { options, log } = setup
  const folder = join(stateFolder, 'backup', 'drill')
  clearFolder(folder)
  const next = nextTimeOf(options.drill, nodeFile.record.node)
  if (!next) return undefined
  const onFailed = metrics.drills()
  const path = join(stateFolder, 'drills.json')
  return new Drills({
    records: DrillRecords.open(path, options.backup ?? [], ops, (error) =>
      log.warn({ path, error }, 'cannot read what is known of drills; the next drill proves again'),
    ),
    next,
    log,
    places: () => archiver.statuses,
    order: () => ({
      cluster: nodeFile.record.cluster,
      folder,
      check: options.drillCheck,
      rate: options.drillRate,
      reserve: options.drillReserve,
    }),
    checksumOf({ epoch, txid }) {
      const known = onlyDatabase(databases).checks?.positions().positions ?? []
      return known.find((each) => each.epoch === epoch && each.txid === txid)?.checksum
    },
    run: runDrill,
    onFirst: () => void warnOfCheck(setup),
    onEnd(place, end) {
      if (!('kind' in end)) {
        onFailed(place, end.code)
        archiver.onUnsound(place, { key: end.code, message: end.message })
      }
      const outcome = 'kind' in end ? 'done' : 'failed'
      tellAudit(ground, { action: 'drill', outcome, by: BY, detail: detailOf(place, end) })
    },
  })
}

/** A drill restores what the database is now, in a while. Never rejects. */
async function warnOfCheck({ options, log }: NodeSetup): Promise<void> {
  const { db, drillCheck } = options
  if (drillCheck === undefined) return
  const detail = await unfitness(db, drillCheck).catch(messageOf)
  if (detail !== undefined)
    log.warn({ detail }, 'the query of --drill-check fails on the database as it is now')
}

function detailOf(place: string, end: DrillProof | DrillFailure): string {
  if (!('kind' in end)) return `${place}: ${end.message}`
  return `${place}: ${end.kind} up to ${end.position} in ${(end.tookMs / 1000).toFixed(1)} s`
}
