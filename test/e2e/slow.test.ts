/**
 * A replica that stands still costs its leader a cursor: no memory, no WAL, and no time of others.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { labTest, requireSame } from '../support/lab.ts'
import { span, until } from '../support/until.ts'
import { makeDatabase, numbers, Writer } from '../support/workload.ts'

const MIB = 1024 * 1024

labTest(
  'a replica stopped under load delays neither the leader nor the other replica',
  async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db, { rows: 1000 })
    const leader = await lab.leader(db, { flags: ['--history', '4MiB', '--max-buffered', '1MiB'] })
    const [level, slow] = [
      await lab.replica(lab.path('a.db'), leader),
      await lab.replica(lab.path('b.db'), leader),
    ]
    await level.ready()
    await slow.ready()
    const writing = lab.modernSql(db)
    const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 81 })
    const change = () =>
      writing.rows(
        numbers(
          400,
          'UPDATE mixed SET body = randomblob(2000) WHERE id IN (SELECT abs(random()) % 1000 ' +
            'FROM numbers)',
        ),
      )
    // Until the heap of the leader has the size that this load needs.
    for (let i = 0; i < 40; i++) await change()
    await requireCatchUp()
    const rssBefore = leader.rssBytes
    slow.kill('SIGSTOP')
    const generation = leader.walSalts
    let rss = 0
    const time = span(5000)
    for (let i = 0; i < 300 && time.left; i++) {
      await change()
      rss = Math.max(rss, leader.rssBytes)
    }
    // A WAL that waited for the stopped replica would only grow.
    for (let i = 0; i < 300 && leader.walSalts === generation; i++) await change()
    assert.notEqual(leader.walSalts, generation, 'the WAL was never begun anew')
    await requireCatchUp()
    assert.ok(rss < rssBefore + 40 * MIB, `RSS of the leader went from ${rssBefore} to ${rss}`)
    slow.kill('SIGCONT')
    await writer.stop()
    await requireSame(lab, leader, level)
    await requireSame(lab, leader, slow)

    async function requireCatchUp(): Promise<void> {
      const { txid } = await leader.status()
      await until('the other replica is level', async () => (await level.status()).txid >= txid)
    }
  },
)

labTest(
  'a huge transaction is captured and checkpointed while the replica is frozen',
  async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const flags = ['--history', '2MiB', '--batch', '64KiB', '--max-buffered', '256KiB']
    const leader = await lab.leader(db, { flags })
    const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
    const writing = lab.modernSql(db)
    const { txid } = await leader.status()
    replica.kill('SIGSTOP')
    await writing.rows(
      numbers(8000, 'INSERT INTO mixed (grp, body) SELECT n, randomblob(3000) FROM numbers'),
    )
    await writing.rows('DELETE FROM mixed WHERE id % 2')
    await until('the leader captured both', async () => (await leader.status()).txid === txid + 2)
    replica.kill('SIGCONT')
    await requireSame(lab, leader, replica)
  },
)

labTest('a replica frozen in its first copy, and one that comes and goes', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 6000 })
  const leader = await lab.leader(db)
  const writer = new Writer(lab, 'python', { path: db, name: 'w', seed: 82, pauseMs: 3 })
  const replica = await lab.replica(lab.path('replica.db'), leader, {
    flags: ['--reconnect-max', '100ms'],
  })
  for (let i = 0; i < 4; i++) {
    replica.kill('SIGSTOP')
    await delay(100)
    replica.kill('SIGCONT')
    await delay(20)
  }
  await replica.ready()
  await writer.advance(20)
  await writer.stop()
  await requireSame(lab, leader, replica)
})
