/** kill -9 of either side, at random moments and at steps of the apply; and restarts. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { applyCrashes, startForCrash } from '../campaigns/applyCrashes.ts'
import { compareFiles, labTest, nodeArguments, requireSame, waitLevel } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { randomOf, until, within } from '../support/until.ts'
import { makeDatabase, Reader, Writer } from '../support/workload.ts'

const ROUNDS = 4
const QUICK = ['--reconnect-max', '200ms']

labTest('kill -9 of leader and replica at random moments under writers', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { pageSize: 1024 })
  const flags = ['--soft-wal', '100', '--hard-wal', '300']
  let leader = await lab.leader(db, { flags })
  const replicaFlags = ['--replica-wal', '128KiB', ...QUICK]
  let replica = await (
    await lab.replica(lab.path('replica.db'), leader, { flags: replicaFlags })
  ).ready()
  const reader = new Reader(lab, { path: replica.db, reopen: 0.1 })
  const writers = [
    new Writer(lab, 'node', { path: db, name: 'a', seed: 11, pauseMs: 2 }),
    new Writer(lab, 'python', { path: db, name: 'b', seed: 12, pauseMs: 2 }),
  ]
  const random = randomOf(2026)
  let highest = 0
  for (let round = 0; round < ROUNDS; round++) {
    await delay(random() * 400)
    if (round % 2 === 0) {
      await replica.stop('SIGKILL')
      await writers[0].advance(10)
      replica = await lab.restart(replica)
    } else {
      await leader.stop('SIGKILL')
      await writers[1].advance(10)
      leader = await lab.restart(leader)
    }
    const { txid } = await leader.status()
    assert.ok(txid >= highest, `txid went back from ${highest} to ${txid}`)
    highest = txid
    reader.check()
  }
  for (const writer of writers) await writer.stop()
  await requireSame(lab, leader, replica)
  assert.ok((await reader.stop()).passes > 10)
})

labTest('leader and replica survive being killed together, again and again', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  let leader = await lab.leader(db)
  let replica = await (await lab.replica(lab.path('replica.db'), leader, { flags: QUICK })).ready()
  const writer = new Writer(lab, 'node', { path: db, name: 'a', seed: 21 })
  for (let round = 0; round < 2; round++) {
    await writer.advance(15)
    const ends = [leader.stop('SIGKILL'), replica.stop('SIGKILL')]
    await Promise.all(ends)
    leader = await lab.restart(leader)
    replica = await lab.restart(replica)
  }
  await writer.stop()
  await requireSame(lab, leader, replica)
})

labTest('a restarted leader keeps epoch and txid if nobody wrote meanwhile', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  let leader = await lab.leader(db)
  const replica = await (
    await lab.replica(lab.path('replica.db'), leader, { flags: QUICK })
  ).ready()
  const writing = lab.sql(db)
  await writing.rows("INSERT INTO log (who) VALUES ('x')")
  await until('the leader has seen the commit', async () => (await leader.status()).txid === 2)
  const first = await waitLevel(leader, replica)

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await leader.stop(signal)
    assert.ok(existsSync(`${db}-wal`), 'an application still has it open')
    leader = await lab.restart(leader)
    assert.equal(await waitLevel(leader, replica), first, `after ${signal}`)
  }
  await writing.close()
  await leader.stop()
  assert.ok(!existsSync(`${db}-wal`), 'the last close removed the WAL')
  leader = await lab.restart(leader)
  assert.equal(await waitLevel(leader, replica), first)
  await leader.stop('SIGKILL')
  await lab.exec(db, 'SELECT count(*) FROM log')
  leader = await lab.restart(leader)
  assert.equal(
    await waitLevel(leader, replica),
    first,
    'a reader whose close checkpointed it changed nothing',
  )
  assert.equal(await replica.metric('walcast_syncs_total'), 1, 'no comparison was needed')
  await requireSame(lab, leader, replica)
})

labTest(
  'a leader restarted under a writer keeps its epoch while the WAL proves it',
  async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    let leader = await lab.leader(db)
    const replica = await (
      await lab.replica(lab.path('replica.db'), leader, { flags: QUICK })
    ).ready()
    const writing = lab.sql(db)
    await writing.rows('PRAGMA wal_autocheckpoint=0')
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await writing.rows("INSERT INTO log (who) VALUES ('before')")
      const before = await leader.status()
      await leader.stop(signal)
      await writing.rows("INSERT INTO log (who) VALUES ('meanwhile')")
      leader = await lab.restart(leader)
      const after = await leader.status()
      assert.equal(after.epoch, before.epoch)
      assert.ok(after.txid > before.txid)
      await waitLevel(leader, replica)
    }
    assert.equal(
      await replica.metric('walcast_syncs_total'),
      1,
      'batches were made again from the WAL',
    )
    await requireSame(lab, leader, replica)
  },
)

labTest('a database written without a leader starts a new epoch with higher txids', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  let leader = await lab.leader(db)
  const replica = await (
    await lab.replica(lab.path('replica.db'), leader, { flags: QUICK })
  ).ready()
  await waitLevel(leader, replica)
  const before = await leader.status()
  await leader.stop()
  await lab.exec(
    db,
    'UPDATE accounts SET balance = balance + 0 WHERE id = 1',
    "INSERT INTO log (who) VALUES ('x')",
  )
  leader = await lab.restart(leader)
  const after = await leader.status()
  assert.equal(after.epoch, before.epoch + 1)
  assert.ok(after.txid > before.txid)
  await requireSame(lab, leader, replica)
})

labTest('a restarted replica resumes where it stopped', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  // More than the writer writes while the replica starts, however slow the machine.
  const leader = await lab.leader(db, { flags: ['--history', '1GiB'] })
  let replica = await (await lab.replica(lab.path('replica.db'), leader, { flags: QUICK })).ready()
  const writer = new Writer(lab, 'node', { path: db, name: 'a', seed: 31 })
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await writer.advance(20)
    const end = await replica.stop(signal)
    if (signal === 'SIGTERM') assert.equal(end.code, 0)
    replica = await lab.restart(replica)
    await replica.ready()
    await waitForStreaming(replica)
    assert.equal(
      await replica.metric('walcast_syncs_total'),
      0,
      `after ${signal} it resumed from history`,
    )
  }
  await writer.stop()
  await requireSame(lab, leader, replica)
})

async function waitForStreaming(replica: TestNode): Promise<void> {
  await replica.child.errorLine((line) => line.includes('connected to the leader'))
}

/**
 * In the middle of the pages of a transaction, of the wal-index, before it becomes visible, and
 * before its position is noted. The campaign has each step, early and late.
 */
const SAMPLE = [
  ['wal.append', 12],
  ['index.pages', undefined],
  ['index.publish', undefined],
  ['position.append', undefined],
] as const

labTest('a replica killed in the middle of the apply comes back intact', (lab) =>
  applyCrashes(lab, SAMPLE),
)

labTest('a replica killed during its first copy resumes it', async (lab) => {
  const { leader, path, port } = await startForCrash(lab, 3000)
  for (const [op, count] of [
    ['copy.write', 1],
    ['copy.write', 3],
    ['copy.publish', 1],
  ] as const) {
    const args = nodeArguments('replica', { db: path, port, leader: leader.address })
    const child = lab.program('replicaAt', { args, op, count })
    child.expectEnd()
    assert.equal((await within(`${op} ${count}`, child.ended)).signal, 'SIGKILL')
    assert.ok(!existsSync(path), 'no half copy under the name of the database')
  }
  const replica = await lab.replica(path, leader, { port })
  await requireSame(lab, leader, replica)
  await replica.stop()
  assert.equal(await compareFiles(lab, leader.db, path), '')
})
