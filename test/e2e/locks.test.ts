/** The locks of both sides are never lost; stray writes are refused, or found and repaired. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { type Lab, labTest, requireSame } from '../support/lab.ts'
import { holdsReadLock, holdsSharedLock, holdsWriteLock, watchLock } from '../support/lockWatch.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, Reader, Writer } from '../support/workload.ts'

async function startPair(lab: Lab, replicaFlags: readonly string[] = []) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { flags: ['--soft-wal', '50', '--hard-wal', '100'] })
  const flags = [
    '--replica-wal',
    '128KiB',
    '--idle',
    '100ms',
    '--reconnect-max',
    '200ms',
    ...replicaFlags,
  ]
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  return { db, leader, replica }
}

labTest('no lock is lost while everything runs', async (lab) => {
  const { db, leader, replica } = await startPair(lab)
  const copy = replica.db
  const reader = new Reader(lab, { path: copy, reopen: 0.5 })
  const watches = {
    guard: watchLock(lab, () => holdsReadLock(db, leader.pid)),
    leaderShared: watchLock(lab, () => holdsSharedLock(db, leader.pid)),
    replicaShared: watchLock(lab, () => holdsSharedLock(copy, replica.pid)),
    write: watchLock(lab, () => holdsWriteLock(copy, replica.pid)),
  }
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 41 })
  await writer.advance(150)
  for (const node of [leader, replica]) {
    for (const path of ['/_walcast/status', '/_walcast/lag', '/metrics', '/readyz'])
      await node.get(path)
  }
  await lab.cli(['status', '--node', leader.url]).ended
  await writer.stop()
  await requireSame(lab, leader, replica)
  await until('the copy is checkpointed when idle', () => replica.walBytes === 0)
  await reader.stop()
  const { guard, leaderShared, replicaShared, write } = watches
  for (const watch of [guard, leaderShared, replicaShared]) {
    const seen = watch.stop()
    assert.ok(seen.looks > 50)
    assert.equal(seen.absent, 0, JSON.stringify(seen))
  }
  const seen = write.stop()
  assert.ok(
    seen.absent < seen.looks / 10,
    `the write lock is away in brief gaps only: ${JSON.stringify(seen)}`,
  )
  assert.ok((await replica.metric('walcast_checkpoints_total')) > 2)
})

labTest('stray writes and journal mode changes get SQLITE_BUSY from any SQLite', async (lab) => {
  const { db, leader, replica } = await startPair(lab)
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 42 })
  const strays = [
    lab.sql(replica.db, { timeoutMs: 0 }),
    lab.modernSql(replica.db, { timeoutMs: 0 }),
  ]
  let refused = 0
  for (let i = 0; i < 60; i++) {
    for (const stray of strays) {
      const { error } = await stray.attempt('DELETE FROM accounts')
      if (error?.includes('SQLITE_BUSY')) refused++
    }
  }
  await writer.stop()
  // Gaps in the lock are few and short, but a busy machine can stretch one over several attempts.
  assert.ok(refused >= 90, `refused ${refused} of 120`)
  const { error } = await strays[0].attempt('PRAGMA journal_mode=DELETE')
  assert.match(error ?? '', /SQLITE_BUSY/)
  await lab.exec(db, "INSERT INTO log (who) VALUES ('x')")
  await requireSame(lab, leader, replica)
})

labTest('a stray write while the replica is down is found and repaired', async (lab) => {
  const { db, leader, replica } = await startPair(lab)
  let again = replica
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await lab.exec(db, `INSERT INTO log (who) VALUES ('before ${signal}')`)
    await requireSame(lab, leader, again)
    await again.stop(signal)
    await lab.exec(
      replica.db,
      'UPDATE accounts SET balance = 0',
      `CREATE TABLE stray_${signal} (a)`,
    )
    again = await lab.restart(replica)
    await requireSame(lab, leader, again)
    assert.equal(await again.metric('walcast_syncs_total'), 1, signal)
    await lab.exec(db, `INSERT INTO log (who) VALUES ('after ${signal}')`)
    await requireSame(lab, leader, again)
  }
})

labTest('stray writes between two checkpoints are found and repaired', async (lab) => {
  const { db, leader, replica } = await startPair(lab, ['--idle', '20ms', '--replica-wal', '16KiB'])
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 43, pauseMs: 3 })
  const strayer = lab.program('strayer', { path: replica.db, times: 3 })
  const { text } = await strayer.line((line) => line.includes('got'))
  await writer.advance(10)
  await writer.stop()
  await requireSame(lab, leader, replica)
  const { got, tries } = JSON.parse(text)
  assert.ok(got > 0, `none of ${tries} tries got in: nothing was tested`)
  assert.ok(tries > got, 'nearly all of them were refused')
  assert.ok((await replica.metric('walcast_stray_writes_total')) > 0, 'they were counted')
})

labTest('one flipped bit in the copy is found at start and repaired', async (lab) => {
  const { leader, replica } = await startPair(lab)
  await until('the copy has an empty WAL', () => replica.walBytes === 0)
  await replica.stop()
  for (const at of [5 * 4096 + 100, 20, 4096 * 3 + 4095]) {
    flipBit(replica.db, at)
    const again = await lab.restart(replica)
    await requireSame(lab, leader, again)
    assert.equal(await again.metric('walcast_syncs_total'), 1)
    await again.stop()
  }
})

labTest('a truncated copy, or one with a damaged WAL, is repaired', async (lab) => {
  const { db, leader, replica } = await startPair(lab, ['--idle', '60s', '--replica-wal', '64MiB'])
  await lab.exec(
    db,
    'UPDATE mixed SET body = randomblob(3000)',
    "INSERT INTO log (who) VALUES ('x')",
  )
  await requireSame(lab, leader, replica)
  await replica.stop('SIGKILL')
  flipBit(`${replica.db}-wal`, 32 + 24 + 2000)
  const again: TestNode = await lab.restart(replica)
  await requireSame(lab, leader, again)
})

/** The node is down: no lock of any process is on the file. */
function flipBit(path: string, at: number): void {
  const fd = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(fd, byte, 0, 1, at)
  byte[0] ^= 4
  writeSync(fd, byte, 0, 1, at)
  closeSync(fd)
}
