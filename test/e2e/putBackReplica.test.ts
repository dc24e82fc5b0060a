/**
 * A replica whose database was restored: its folder remembers positions, which prove nothing about
 * the database.
 */
import assert from 'node:assert/strict'
import { copyFileSync, rmSync } from 'node:fs'
import { campaignTest, labTest, requireSame, waitLevel } from '../support/lab.ts'
import { fitness, promote, Refused } from '../support/leadership.ts'
import { post, startSite } from '../support/notesCluster.ts'

campaignTest('a replica with a restored database does not claim what it lacks', async (lab) => {
  const [db, copy, backup] = [lab.path('a.db'), lab.path('b.db'), lab.path('backup.db')]
  await lab.exec(
    db,
    'PRAGMA journal_mode=wal',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)',
  )
  const leader = await startSite(lab, db, undefined, [])
  const replica = await startSite(lab, copy, leader.node.address, ['--reconnect-max', '100ms'])
  await replica.node.ready()
  await waitLevel(leader.node, replica.node)
  await replica.node.stop()
  await replica.app.stop('SIGKILL')
  // The last connection empties the WAL, so that the file alone is the copy.
  await lab.exec(copy, 'PRAGMA wal_checkpoint(TRUNCATE)')
  copyFileSync(copy, backup)
  const going = await lab.restart(replica.node)
  // The second state is not among those on record before the first.
  for (let i = 0; i < 1100; i++)
    assert.equal((await post(`${leader.url}/notes`, `lost ${i}`)).status, 201)
  await waitLevel(leader.node, going)
  const { epoch, txid } = await going.status()
  await going.stop()
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${copy}${suffix}`, { force: true })
  copyFileSync(backup, copy)
  await leader.node.stop()

  const back = await lab.restart(going)
  const wait = `/_walcast/wait?position=${epoch}-${txid}&timeoutMs=`
  assert.equal((await back.get(`${wait}300`)).status, 504)
  assert.equal((await fitness(back)).fit, false)
  await assert.rejects(
    promote(back),
    (error) => error instanceof Refused && error.code === 'NOT_FIT',
  )

  const leading = await lab.restart(leader.node)
  assert.equal((await back.get(`${wait}20000`)).status, 200)
  await requireSame(lab, leading, back)
  await back.ready()
})

labTest('a replica restored to a recorded state is not promoted silently', async (lab) => {
  const [db, copy, backup] = [lab.path('a.db'), lab.path('b.db'), lab.path('backup.db')]
  await lab.exec(
    db,
    'PRAGMA journal_mode=wal',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)',
  )
  const leader = await lab.leader(db)
  const replica = await (
    await lab.replica(copy, leader, { flags: ['--reconnect-max', '100ms'] })
  ).ready()
  await waitLevel(leader, replica)
  await replica.stop()
  await lab.exec(copy, 'PRAGMA wal_checkpoint(TRUNCATE)')
  copyFileSync(copy, backup)
  const going = await lab.restart(replica)
  for (let i = 0; i < 20; i++) await lab.exec(db, `INSERT INTO notes(body) VALUES ('lost ${i}')`)
  await waitLevel(leader, going)
  await going.stop()
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${copy}${suffix}`, { force: true })
  copyFileSync(backup, copy)
  await leader.stop()

  // Also after one more start, which has recorded the restored state.
  for (let i = 0; i < 2; i++) {
    const back = await lab.restart(going)
    const judged = await fitness(back)
    assert.equal(judged.fit, false)
    assert.match(judged.reasons.join(), /once stood at 1-\d+/)
    await assert.rejects(
      promote(back),
      (error) => error instanceof Refused && error.code === 'NOT_FIT',
    )
    await back.stop()
  }
  const last = await lab.restart(going)
  const leading = await lab.restart(leader)
  await waitLevel(leading, last)
  assert.equal((await fitness(last)).reasons.join(), '')
  await leading.stop()
  await promote(last)
  assert.equal((await last.status()).role, 'leader')
})
