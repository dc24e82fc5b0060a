/** A node archives what it has; every position that it told is restored from there as it was. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import type { DatabaseStatus } from '../../src/api/databaseStatus.ts'
import { labTest } from '../support/lab.ts'
import { restoreFrom } from '../support/restoring.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, Writer } from '../support/workload.ts'

interface Told {
  readonly incarnation: string
  readonly txid: number
  readonly checksum: string
}

const restorable = (status: DatabaseStatus) => status.backup?.places[0]?.restorableUntil

/** Waits until the place has all that the node has. Gives the position and its checksum. */
async function archived(node: TestNode): Promise<Told> {
  return until('the archive is level', async (saw) => {
    const status = await node.status()
    const { txid, epoch, checksum } = status
    saw(JSON.stringify(status.backup))
    const until = restorable(status)
    return until?.position === `${epoch}-${txid}`
      ? { incarnation: until.incarnation, txid, checksum }
      : undefined
  })
}

/** Restores each of these, the last one included, and compares the state. */
async function requireRestorable(
  place: string,
  told: readonly Told[],
  pathOf: (i: number) => string,
): Promise<void> {
  for (const [i, { incarnation, txid, checksum }] of told.entries()) {
    const restored = await restoreFrom(place, { incarnation, txid }, pathOf(i))
    assert.equal(restored.checksum, checksum, `txid ${txid}`)
  }
}

labTest('a leader archives under a writer, is killed, and goes on', async (lab) => {
  const db = lab.path('leader.db')
  const place = lab.path('archive')
  await makeDatabase(lab, db)
  const flags = ['--backup', place, '--backup-every', '100ms']
  const told: Told[] = []
  let leader = await (await lab.leader(db, { flags })).ready()
  told.push(await archived(leader))
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 5 })
  for (let round = 0; round < 3; round++) {
    await writer.advance(200)
    const { txid, checksum } = await leader.status()
    await until('it is archived', async () => {
      const until = restorable(await leader.status())
      const incarnation = until?.incarnation ?? ''
      const isThere = Number(until?.position.split('-')[1]) >= txid
      if (isThere) told.push({ incarnation, txid, checksum })
      return isThere
    })
    if (round !== 1) continue
    leader.kill('SIGKILL')
    await leader.child.ended
    leader = await (await lab.leader(db, { flags })).ready()
  }
  await writer.stop()
  told.push(await archived(leader))
  await leader.stop()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
  assert.equal(readdirSync(`${place}/snapshots`).length, 1)
})
