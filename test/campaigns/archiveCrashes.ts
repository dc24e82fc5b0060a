/** A node that archives dies at each step of it; what it told is all restorable. */
import assert from 'node:assert/strict'
import { freePort } from '../../src/cli/freePorts.ts'
import type { FileOp } from '../../src/platform/fileOps.ts'
import { archived, requireRestorable, type Told } from '../support/archiving.ts'
import { type Lab, nodeArguments } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { makeDatabase, Writer } from '../support/workload.ts'

/** With the occurrence at which the process dies. The first ones take the snapshot. */
export const ARCHIVE_STEPS: readonly (readonly [FileOp, number])[] = [
  ['snapshot.write', 50],
  ['archive.write', 1],
  ['archive.sync', 1],
  ['log.append', 1],
  ['archive.write', 2],
  ['log.append', 4],
  ['archive.write', 3],
  ['archive.sync', 1],
  ['archive.sync', 3],
  ['archive.write', 9],
]

export async function archiveCrashes(
  lab: Lab,
  steps: readonly (readonly [FileOp, number])[],
): Promise<void> {
  const db = lab.path('leader.db')
  const place = lab.path('archive')
  const port = await freePort()
  const flags = ['--backup', place, '--backup-every', '50ms']
  const args = nodeArguments('leader', { db, port, flags })
  await makeDatabase(lab, db)
  const told: Told[] = []
  for (const [i, [op, count]] of steps.entries()) {
    const dying = lab.program('replicaAt', { args, op, count })
    dying.expectEnd()
    const writer = new Writer(lab, 'node', { path: db, name: `w${i}`, seed: i, pauseMs: 5 })
    assert.equal((await dying.ended).signal, 'SIGKILL', `${op}: ${dying.tail()}`)
    await writer.stop()
    const node: TestNode = await (await lab.leader(db, { port, flags })).ready()
    told.push(await archived(node))
    await node.stop()
  }
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
}
