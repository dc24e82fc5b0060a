/** An archive under what operators do to it: several writers of one place, odd databases. */
import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { freePort } from '../../src/cli/freePorts.ts'
import { ARCHIVE_FAULTS, archiveDisks } from '../campaigns/archiveDisks.ts'
import { archived, requireRestorable, type Told } from '../support/archiving.ts'
import { labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase, Writer } from '../support/workload.ts'

labTest('two nodes write one place, and one of them is killed', async (lab) => {
  const place = lab.path('archive')
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const flags = ['--backup', place, '--backup-every', '50ms', '--backup-on', 'this']
  const port = await freePort()
  let leader = await (await lab.leader(db, { flags, port })).ready()
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  const told: Told[] = []
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 3, pauseMs: 5 })
  await writer.advance(40)
  leader.kill('SIGKILL')
  await leader.child.ended
  leader = await (await lab.leader(db, { flags, port })).ready()
  await writer.advance(40)
  await writer.stop()
  told.push(await archived(leader))
  const { txid } = await leader.status()
  await until('the replica is level', async () => (await replica.status()).txid >= txid)
  told.push(await archived(replica))
  await replica.stop()
  await leader.stop()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
})

labTest(
  'what a node keeps for its archive is removed under it, and so is the place',
  async (lab) => {
    const place = lab.path('archive')
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const flags = ['--backup', place, '--backup-every', '50ms']
    const leader = await (await lab.leader(db, { flags })).ready()
    await archived(leader)
    await lab.exec(db, 'CREATE TABLE one (a)')
    await archived(leader)
    rmSync(`${db}-walcast/backup`, { recursive: true })
    await lab.exec(db, 'CREATE TABLE two (a)')
    await archived(leader)
    rmSync(place, { recursive: true })
    await lab.exec(db, 'CREATE TABLE three (a)')
    const told = await until('it is begun again', async () => {
      const at = await archived(leader)
      return readdirSync(place).includes('snapshots') && at
    })
    await leader.stop()
    await requireRestorable(place, [told], (i) => lab.path(`restored-${i}.db`))
  },
)

for (const pageSize of [512, 65536])
  labTest(`pages of ${pageSize} bytes, and a node without commits writes nothing`, async (lab) => {
    const place = lab.path('archive')
    const db = lab.path('leader.db')
    const pragmas = [`PRAGMA page_size = ${pageSize}`, 'PRAGMA journal_mode = WAL']
    await lab.exec(db, ...pragmas, 'CREATE TABLE a (b)')
    const flags = ['--backup', place, '--backup-every', '50ms']
    const told: Told[] = []
    for (let round = 0; round < 3; round++) {
      const leader = await (await lab.leader(db, { flags })).ready()
      told.push(await archived(leader))
      await leader.stop()
    }
    assert.deepEqual(
      readdirSync(place, { recursive: true }).filter((n) => `${n}`.endsWith('.wca')).length,
      1,
    )
    assert.ok(readdirSync(`${db}-walcast/backup/log`).length <= 1)
    await requireRestorable(place, told.slice(-1), (i) => lab.path(`restored-${i}.db`))
  })

labTest('the disks of a node that archives are full, and have room again', (lab) =>
  archiveDisks(lab, ARCHIVE_FAULTS.slice(0, 2)),
)
