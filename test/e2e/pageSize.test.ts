/**
 * VACUUM gives the leader's database another page size: replicas fetch a new copy beside the old
 * one and replace it.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { labTest, nodeArguments, requireSame } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase, Reader, Writer } from '../support/workload.ts'

labTest('a running replica follows a change of page size', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 3000 })
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('copy.db'), leader)).ready()
  await lab.exec(db, 'UPDATE accounts SET balance = balance')
  await requireSame(lab, leader, replica)

  const opened = [lab.sql(replica.db), lab.modernSql(replica.db)]
  for (const session of opened) await session.rows('SELECT count(*) FROM mixed')
  const [staying, reopening] = [
    new Reader(lab, { path: replica.db, seed: 1, reopen: 0 }),
    new Reader(lab, { path: replica.db, seed: 2, reopen: 1 }),
  ]
  await leader.stop()
  await lab.exec(
    db,
    'PRAGMA journal_mode=DELETE',
    'PRAGMA page_size=8192',
    'VACUUM',
    "INSERT INTO mixed (id, grp, body) VALUES (777777, 1, x'00')",
    'PRAGMA journal_mode=WAL',
  )
  const again = await lab.restart(leader)
  assert.equal((await again.status()).pageSize, 8192)
  await until(
    'it has the new page size',
    async () => (await replica.status()).pageSize === 8192,
    60_000,
  )
  assert.ok(replica.logged('fetching a new copy').length >= 1, 'it says so')
  assert.equal(replica.child.end, undefined, 'it goes on')
  await requireSame(lab, again, replica)
  await replica.ready()

  // Earlier connections keep the old content. They cannot write, and closing them does no harm.
  for (const session of opened) {
    assert.deepEqual(await session.rows('SELECT count(*) FROM mixed WHERE id = 777777'), [[0]])
    assert.deepEqual(await session.rows('SELECT count(*) FROM mixed'), [[3000]])
    assert.deepEqual(await session.rows('PRAGMA integrity_check'), [['ok']])
    const { error } = await session.attempt('DELETE FROM mixed')
    assert.match(error ?? '', /READONLY|readonly/)
  }
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 3, pauseMs: 1 })
  await writer.advance(20)
  for (const session of opened) await session.close()
  await writer.advance(50)
  await writer.stop()
  assert.ok(existsSync(`${replica.db}-wal`), 'nobody has taken the WAL away')
  await requireSame(lab, again, replica)
  await staying.stop()
  const { newest } = await reopening.stop()
  assert.ok(newest > 0, 'who opens it again sees what was written since')
  assert.deepEqual(
    readdirSync(lab.folder).filter(
      (name) => name.startsWith('copy.db') && name.includes('incoming'),
    ),
    [],
  )

  // The same, found at a start.
  await replica.stop()
  await requireSame(lab, again, await lab.restart(replica))
})

labTest('a replica that starts after a change of page size follows it', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 3000 })
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('copy.db'), leader)).ready()
  await requireSame(lab, leader, replica)
  await replica.stop()
  await leader.stop()
  await lab.exec(db, 'PRAGMA journal_mode=DELETE', 'PRAGMA page_size=1024', 'VACUUM')
  const again = await lab.restart(leader)
  const restarted = await lab.restart(replica)
  await requireSame(lab, again, restarted)
  assert.equal((await restarted.status()).pageSize, 1024)
  await until('it is all over', async () => (await restarted.status()).lastError === undefined)
})

labTest('rows only in this copy are kept when the page size changes', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('copy.db'), leader)).ready()
  await requireSame(lab, leader, replica)
  await replica.stop()
  await leader.stop()
  await lab.exec(replica.db, "INSERT INTO mixed (id, grp, body) VALUES (888888, 1, x'0102')")
  await lab.exec(db, 'PRAGMA journal_mode=DELETE', 'PRAGMA page_size=8192', 'VACUUM')
  const again = await lab.restart(leader)
  const restarted = await lab.restart(replica)
  await requireSame(lab, again, restarted)
  const folder = `${replica.db}-walcast/diverged`
  await until(
    'the row is listed',
    () => readdirSync(folder).some((name) => existsSync(`${folder}/${name}/rows.jsonl`)),
    30_000,
  )
  const [name] = readdirSync(folder)
  const kept = lab.sql(`${folder}/${name}/database.db`)
  assert.deepEqual(await kept.rows('SELECT count(*) FROM mixed WHERE id = 888888'), [[1]])
  await kept.close()
  assert.ok(statSync(`${folder}/${name}/rows.jsonl`).size > 0)
})

labTest('a crash while a copy with a new page size replaces the old one', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  let leader = await lab.leader(db)
  let replica = await (await lab.replica(lab.path('copy.db'), leader)).ready()
  await requireSame(lab, leader, replica)
  for (const [op, pageSize] of [
    ['copy.supersede', 8192],
    ['copy.publish', 2048],
  ] as const) {
    await replica.stop()
    await leader.stop()
    await lab.exec(db, 'PRAGMA journal_mode=DELETE', `PRAGMA page_size=${pageSize}`, 'VACUUM')
    leader = await lab.restart(leader)
    const dying = lab.program('nodeAt', {
      args: nodeArguments('replica', { ...replica.options, leader: leader.address }),
    })
    dying.write(JSON.stringify({ op, count: 1 }))
    await dying.line((line) => line.includes('dying'), 0, 30_000)
    assert.equal((await dying.ended).signal, 'SIGKILL')
    replica = await lab.restart(replica)
    await requireSame(lab, leader, replica)
    assert.equal((await replica.status()).pageSize, pageSize)
  }
})
