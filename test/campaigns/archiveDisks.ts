/**
 * The disk of the archive, or that of the node, fails under a node that archives. The database goes
 * on, the status tells what is missing and why, and once the disk works the archive is level.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { freePort } from '../../src/cli/freePorts.ts'
import { archived, requireRestorable, restorable, type Told } from '../support/archiving.ts'
import { type Fault, startFailing } from '../support/failingNode.ts'
import type { Lab } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const ALWAYS = 1_000_000
const fault = (code: string, ...ops: readonly string[]): Fault => ({ ops, code, times: ALWAYS })
const COMMITS = 30

/** The first is the disk of the node: neither the log nor a snapshot can be written. */
export const ARCHIVE_FAULTS: readonly Fault[] = [
  fault('ENOSPC', 'log.append', 'snapshot.write'),
  fault('ENOSPC', 'archive.write'),
  fault('EIO', 'archive.sync'),
  fault('EROFS', 'archive.write'),
  fault('EIO', 'log.append'),
  fault('ENOSPC', 'log.append', 'snapshot.write', 'archive.write'),
]

export async function archiveDisks(lab: Lab, faults: readonly Fault[]): Promise<void> {
  const db = lab.path('leader.db')
  const place = lab.path('archive')
  await makeDatabase(lab, db)
  const flags = ['--backup', place, '--backup-every', '50ms', '--backup-alert', '1s']
  const port = await freePort()
  const { node, fail, mend } = await startFailing(lab, 'leader', { db, port, flags })
  await node.ready()
  const told: Told[] = [await archived(node)]
  const sql = lab.modernSql(db)
  for (const each of faults) {
    await fail(each)
    const commit = () => sql.rows("UPDATE meta SET value = value + 1 WHERE key = 'last'")
    for (let i = 0; i < COMMITS; i++) await commit()
    const before = `1-${told[told.length - 1].txid}`
    let quick: string | undefined
    await until('it tells what fails', async (saw) => {
      const status = await node.status()
      const [report] = status.backup?.places ?? []
      saw(JSON.stringify(report))
      const isTold = report?.isStalled && report.lastError !== undefined
      const has = restorable(status)?.position ?? ''
      if (isTold) return has === before || has === quick
      // A snapshot was quicker than the failure of the log: nothing is missing so far.
      if (has !== before && has === `${status.epoch}-${status.txid}`) {
        quick = has
        await commit()
      }
      return false
    })
    assert.ok((await mend()) > 0)
    told.push(await archived(node))
    assert.ok(readdirSync(`${db}-walcast/backup/log`).length < COMMITS)
  }
  await sql.close()
  await node.stop()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
}
