/**
 * Another process runs checkpoints of all modes, beside writers of two SQLite versions and readers
 * of the copy.
 */
import assert from 'node:assert/strict'
import { hostileRun } from '../support/hostile.ts'
import { labTest } from '../support/lab.ts'

for (const { pageSize, commits } of [
  { pageSize: 512, commits: 100 },
  { pageSize: 4096, commits: 100 },
  { pageSize: 65536, commits: 50 },
]) {
  labTest(`hostile checkpoints, writers and readers, pages of ${pageSize} bytes`, async (lab) => {
    // Low limits move the guard often, so that hostile checkpoints get their chance to empty the
    // WAL. History holds more than the writers write, however slow the machine.
    const leaderFlags = ['--soft-wal', '40', '--hard-wal', '80', '--history', '1GiB']
    const { leader, replica } = await hostileRun(lab, {
      shape: { pageSize },
      commits,
      seed: pageSize,
      leaderFlags,
    })
    assert.equal((await leader.status()).pageSize, pageSize)
    assert.equal((await leader.status()).epoch, 1, 'no commit was lost to capture')
    assert.equal(await replica.metric('walcast_syncs_total'), 1, 'the first copy was the only one')
  })
}

labTest(
  'small WAL limits, application autocheckpoints and a checkpointer on the copy',
  async (lab) => {
    const { leader, replica } = await hostileRun(lab, {
      shape: { pageSize: 1024 },
      commits: 100,
      seed: 77,
      leaderFlags: ['--soft-wal', '64', '--hard-wal', '256'],
      replicaFlags: ['--replica-wal', '64KiB', '--idle', '50ms'],
      autocheckpoint: 100,
      onReplica: true,
    })
    assert.equal((await leader.status()).epoch, 1, 'no commit was lost to capture')
    assert.ok((await leader.metric('walcast_checkpoints_total')) > 0)
    assert.ok((await replica.metric('walcast_checkpoints_total')) > 0)
    assert.equal(await replica.metric('walcast_stray_writes_total'), 0)
  },
)
