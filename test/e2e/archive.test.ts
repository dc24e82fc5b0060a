/** A node archives what it has; every position that it told is restored from there as it was. */
import assert from 'node:assert/strict'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readIdentities } from '../../src/security/backupKeyFiles.ts'
import { ARCHIVE_STEPS, archiveCrashes } from '../campaigns/archiveCrashes.ts'
import { archived, requireRestorable, restorable, type Told } from '../support/archiving.ts'
import { campaignTest, labTest } from '../support/lab.ts'
import { post, startNotes } from '../support/notesCluster.ts'
import { restoreFrom } from '../support/restoring.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, numbers, Writer } from '../support/workload.ts'

/** Small ones, one that reshapes the file, and one that is larger than a file of an archive. */
const CHANGES = [
  "UPDATE meta SET value = value + 1 WHERE key = 'last'",
  'VACUUM',
  numbers(9000, 'INSERT INTO mixed (grp, body) SELECT n, randomblob(4000) FROM numbers'),
  'DELETE FROM mixed WHERE id % 3 = 0',
  'CREATE INDEX IF NOT EXISTS mixed_body ON mixed (length(body))',
  'DELETE FROM mixed WHERE id > 2000',
  'VACUUM',
]

async function sameAs(replica: TestNode, leader: TestNode): Promise<void> {
  const { txid } = await leader.status()
  await until('the replica is level', async () => (await replica.status()).txid >= txid)
}

labTest('a leader archives under a writer, is killed, and goes on', async (lab) => {
  const db = lab.path('leader.db')
  const place = lab.path('archive')
  await makeDatabase(lab, db)
  const flags = ['--backup', place, '--backup-every', '100ms']
  const told: Told[] = []
  let leader = await (await lab.leader(db, { flags })).ready()
  told.push(await archived(leader))
  for (let round = 0; round < 3; round++) {
    const writer = new Writer(lab, 'node', { path: db, name: `w${round}`, seed: 5 + round })
    await writer.advance(60)
    const { txid, checksum } = await leader.status()
    await until('it is archived', async () => {
      const until = restorable(await leader.status())
      const incarnation = until?.incarnation ?? ''
      const isThere = Number(until?.position.split('-')[1]) >= txid
      if (isThere) told.push({ incarnation, txid, checksum })
      return isThere
    })
    await writer.stop()
    if (round !== 1) continue
    // A kill loses what waits to be written to the log, and commits that no node sees may be gone
    // from the WAL: nothing leads on then, and a snapshot follows.
    told.push(await archived(leader))
    leader.kill('SIGKILL')
    await leader.child.ended
    leader = await (await lab.leader(db, { flags })).ready()
  }
  const { txid, checksum } = await leader.status()
  told.push({ incarnation: (await archived(leader)).incarnation, txid, checksum })
  await leader.stop()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
  assert.equal(readdirSync(`${place}/snapshots`).length, 1)
})

labTest('a replica archives, is promoted, and its archive goes on over the change', async (lab) => {
  const place = lab.path('archive')
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await (await lab.leader(db, { flags: ['--history', '128MiB'] })).ready()
  const flags = ['--backup', place, '--backup-every', '100ms']
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  const told: Told[] = [await archived(replica)]
  const sql = lab.modernSql(db)
  for (const statement of CHANGES) await sql.rows(statement)
  await sameAs(replica, leader)
  told.push(await archived(replica))
  await sql.close()
  leader.kill('SIGKILL')
  await leader.child.ended
  assert.equal((await replica.post('/_walcast/promote', { force: true })).status, 200)
  const later = lab.modernSql(replica.db)
  for (const statement of CHANGES) await later.rows(statement)
  told.push(await archived(replica))
  await later.close()
  await replica.stop()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
  assert.equal(new Set(told.map(({ incarnation }) => incarnation)).size, 2)
  assert.equal(readdirSync(`${place}/snapshots`).length, 1)
})

labTest('a replica that had to compare pages goes on with a snapshot', async (lab) => {
  const place = lab.path('archive')
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await (await lab.leader(db, { flags: ['--history', '1MiB'] })).ready()
  const flags = ['--backup', place, '--backup-every', '100ms']
  let replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  const told: Told[] = [await archived(replica)]
  replica.kill('SIGKILL')
  await replica.child.ended
  const sql = lab.modernSql(db)
  for (const statement of CHANGES) await sql.rows(statement)
  await sql.close()
  replica = await (await lab.replica(replica.db, leader, { flags })).ready()
  await sameAs(replica, leader)
  told.push(await archived(replica))
  await replica.stop()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
  assert.equal(readdirSync(`${place}/snapshots`).length, 2)
})

campaignTest('one node archives at a time: a replica, else the leader', async (lab) => {
  const place = lab.path('archive')
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const flags = ['--backup', place, '--backup-every', '100ms']
  const leader = await (await lab.leader(db, { flags })).ready()
  const told: Told[] = [await archived(leader)]
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  const isArchiving = async (node: TestNode) =>
    (await node.status()).backup?.places[0].isArchiving === true
  await until('the replica archives', () => isArchiving(replica))
  await until('the leader does not', async () => !(await isArchiving(leader)))
  await lab.exec(db, 'CREATE TABLE later (a)')
  await sameAs(replica, leader)
  told.push(await archived(replica))
  replica.kill('SIGKILL')
  await replica.child.ended
  await lab.exec(db, 'INSERT INTO later VALUES (1)')
  await until('the leader archives again', () => isArchiving(leader))
  told.push(await archived(leader))
  await leader.stop()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
  assert.equal(readdirSync(`${place}/snapshots`).length, 1)
})

campaignTest('a node killed at a step of archiving leaves everything restorable', (lab) =>
  archiveCrashes(lab, ARCHIVE_STEPS.slice(0, 5)),
)

labTest('a node goes on with an archive that it cannot read', async (lab) => {
  const place = lab.path('archive')
  const db = lab.path('leader.db')
  const recipients = lab.path('recipients')
  const key = lab.cli(['backup-key', '--to', lab.path('identity')])
  key.expectEnd()
  assert.equal((await key.ended).code, 0)
  writeFileSync(recipients, key.out.join('\n'), { mode: 0o600 })
  await makeDatabase(lab, db)
  const flags = ['--backup', place, '--backup-every', '100ms', '--backup-recipients', recipients]
  let leader = await (await lab.leader(db, { flags })).ready()
  const told: Told[] = [await archived(leader)]
  leader.kill('SIGKILL')
  await leader.child.ended
  leader = await (await lab.leader(db, { flags })).ready()
  await lab.exec(db, 'CREATE TABLE later (a)')
  told.push(await archived(leader))
  await leader.stop()
  const identities = readIdentities(lab.path('identity'))
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`), identities)
  assert.equal(readdirSync(`${place}/snapshots`).length, 1)
})

labTest('Walcast-Ack: backup is answered once the archive has the write', async (lab) => {
  const place = lab.path('archive')
  const flags = ['--backup', place, '--backup-every', '100ms']
  const { leader, replicas } = await startNotes(lab, {
    replicas: 1,
    replicaFlags: flags,
    leaderFlags: ['--ack-timeout', '4s'],
  })
  const headers = { 'walcast-ack': 'backup' }
  const answer = await post(`${leader.url}/notes`, 'kept', headers)
  assert.equal(answer.headers.get('walcast-acked'), 'backup; replicas=0', await answer.text())
  const told = restorable(await replicas[0].node.status())
  const [epoch, txid] = String(told?.position).split('-').map(Number)
  assert.equal(epoch, (await leader.node.status()).epoch)
  const path = lab.path('restored.db')
  await restoreFrom(place, { incarnation: told?.incarnation ?? '', txid }, path)
  const session = lab.sql(path)
  assert.deepEqual(await session.rows('SELECT body FROM notes'), [['kept']])
  await session.close()
  rmSync(place, { recursive: true })
  writeFileSync(place, 'no folder')
  const late = await post(`${leader.url}/notes`, 'late', headers)
  assert.equal(late.headers.get('walcast-not-replicated'), 'backup; replicas=0', await late.text())
})
