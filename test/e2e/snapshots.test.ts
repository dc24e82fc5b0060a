/** Readers that keep a snapshot open, and readers that never reopen the database. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { labTest, requireSame, waitLevel } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase, numbers, Reader, Writer } from '../support/workload.ts'

const LOOK =
  'SELECT (SELECT sum(balance) FROM accounts), (SELECT max(id) FROM log), ' +
  '(SELECT sum(length(body)) FROM mixed)'

labTest('long snapshots survive checkpoints and only delay them', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { flags: ['--soft-wal', '50', '--hard-wal', '100'] })
  const flags = ['--replica-wal', '128KiB', '--idle', '100ms']
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 5 })
  await writer.advance(20)

  const holders = [
    lab.sql(replica.db, { readOnly: true }),
    lab.modernSql(replica.db),
    lab.sql(db),
    lab.modernSql(db),
  ]
  const before: unknown[] = []
  for (const holder of holders) {
    await holder.rows('BEGIN')
    before.push(await holder.rows(LOOK))
  }
  const passes = await replica.metric('walcast_checkpoints_total')
  await writer.advance(100)
  await waitForGrowth(replica, passes)
  for (const [i, holder] of holders.entries()) {
    assert.deepEqual(await holder.rows(LOOK), before[i], 'the snapshot is what it was')
    await holder.rows('COMMIT')
    assert.notDeepEqual(await holder.rows(LOOK), before[i], 'and now the newest state is seen')
  }
  await writer.stop()
  await requireSame(lab, leader, replica)
  await until(
    'the WAL of the copy is emptied once the readers are gone',
    () => replica.walBytes === 0,
  )
  await requireSame(lab, leader, replica)
})

async function waitForGrowth(
  replica: { metric(name: string): Promise<number> },
  from: number,
): Promise<void> {
  await until(
    'the copy was checkpointed meanwhile',
    async () => (await replica.metric('walcast_checkpoints_total')) > from,
  )
}

labTest('connections opened before the first batch see every later state', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { flags: ['--history', '256KiB'] })
  const flags = ['--replica-wal', '128KiB', '--idle', '100ms', '--reconnect-max', '200ms']
  let replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  const inode = statSync(replica.db).ino
  const sessions = [lab.sql(replica.db, { readOnly: true }), lab.modernSql(replica.db)]
  const reader = new Reader(lab, { path: replica.db, seed: 3 })
  const writing = lab.sql(db)
  const steps: (() => Promise<unknown>)[] = [
    async () => {},
    async () => until('TRUNCATE of the copy', () => replica.walBytes === 0),
    async () =>
      writing.rows(
        numbers(2000, 'INSERT INTO mixed (grp, body) SELECT n, randomblob(1000) FROM numbers'),
      ),
    async () => until('TRUNCATE of the copy', () => replica.walBytes === 0),
    async () => writing.rows('VACUUM'),
    async () => {
      await replica.stop()
      await writing.rows(
        numbers(
          2000,
          'UPDATE mixed SET body = randomblob(900) WHERE id IN (SELECT n FROM numbers)',
        ),
      )
      await writing.rows("INSERT INTO log (who, body) VALUES ('resync', NULL)")
      await writing.rows("UPDATE meta SET value = (SELECT max(id) FROM log) WHERE key = 'last'")
      replica = await lab.restart(replica)
    },
    async () => writing.rows('DELETE FROM mixed'),
    async () => writing.rows('VACUUM'),
  ]
  for (const [i, step] of steps.entries()) {
    await step()
    await writing.rows('BEGIN IMMEDIATE')
    await writing.rows(`INSERT INTO log (who, body) VALUES ('step', ${i})`)
    await writing.rows("UPDATE meta SET value = (SELECT max(id) FROM log) WHERE key = 'last'")
    await writing.rows('COMMIT')
    await waitLevel(leader, replica)
    const expected = await writing.rows(LOOK)
    for (const session of sessions) {
      await until(
        `step ${i} is seen`,
        async () => JSON.stringify(await session.rows(LOOK)) === JSON.stringify(expected),
      )
    }
    assert.equal(statSync(replica.db).ino, inode, 'the file is the same one')
  }
  assert.equal(
    await replica.metric('walcast_syncs_total'),
    1,
    'the restart was followed by a resync',
  )
  const done = await reader.stop()
  assert.equal(done.newest, await writing.value('SELECT max(id) FROM log'))
  await requireSame(lab, leader, replica)
})
