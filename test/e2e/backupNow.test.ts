/** `walcast backup now`: whichever node is asked, the archive has what that node had. */
import assert from 'node:assert/strict'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { BackupNowAnswer } from '../../src/api/backupNow.ts'
import { requireRestorable, restorable, type Told } from '../support/archiving.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

async function run(lab: Lab, args: readonly string[], command = 'backup') {
  const child = lab.cli([command, ...args])
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

labTest('a leader has the replica that archives bring the archive level now', async (lab) => {
  const [db, place] = [lab.path('leader.db'), lab.path('archive')]
  await makeDatabase(lab, db)
  const leader = await (await lab.leader(db)).ready()
  const alone = await run(lab, ['now', '--db', db])
  assert.equal(alone.code, 1)
  assert.match(alone.err, /WALCAST_NOT_ARCHIVING/)
  // Nothing is archived by itself within this test.
  const flags = ['--backup', place, '--backup-every', '1h']
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  await until('the replica archives', async () => {
    const [report] = (await replica.status()).backup?.places ?? []
    return report?.isArchiving
  })
  const told: Told[] = []
  const now = async (...more: readonly string[]): Promise<BackupNowAnswer> => {
    const { code, out, err } = await run(lab, ['now', '--db', db, '--json', ...more])
    assert.equal(code, 0, err)
    const { epoch, txid, checksum } = await leader.status()
    const answer: BackupNowAnswer = JSON.parse(out)
    assert.equal(answer.position, `${epoch}-${txid}`)
    assert.equal(answer.node, (await replica.status()).node)
    const until = restorable(await replica.status())
    assert.equal(until?.position, answer.places[0].position)
    told.push({ incarnation: until?.incarnation ?? '', txid, checksum })
    return answer
  }
  const [first] = (await now()).places
  assert.ok(first.bytes > 0)
  await lab.exec(db, 'CREATE TABLE later (a)')
  const [second] = (await now()).places
  assert.ok(second.bytes > 0 && second.bytes < first.bytes, `${second.bytes} of ${first.bytes}`)
  assert.ok(Date.parse(second.at ?? '') > 0)
  assert.equal((await now()).places[0].bytes, 0)
  await lab.exec(db, 'INSERT INTO later VALUES (1)')
  const [third] = (await now('--snapshot')).places
  assert.match(third.snapshot ?? '', /^snapshots\//)
  assert.equal(readdirSync(`${place}/snapshots`).length, 2)
  // It is of the time of its commit, as the file of changes that leads there.
  const shown = await run(lab, ['--from', place, '--json'], 'backups')
  const { snapshots } = JSON.parse(shown.out).histories[0]
  assert.equal(snapshots[1].time, third.at)
  await lab.exec(db, 'INSERT INTO later VALUES (2)')
  const text = await run(lab, ['now', replica.address])
  assert.match(text.out, new RegExp(`^archive +${place}: 1-\\d+ of .* written\nby `))
  await now()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
  const entries = (await replica.status()).audit ?? []
  assert.equal(entries.findLast(({ action }) => action === 'backup')?.outcome, 'done')

  rmSync(place, { recursive: true })
  writeFileSync(place, 'no folder')
  const failed = await run(lab, ['now', '--db', db])
  assert.equal(failed.code, 1)
  assert.match(failed.err, /WALCAST_BACKUP_BEHIND/)
  assert.ok(failed.err.includes(place), failed.err)
})

labTest('a leader that waits for its replica to archive does it itself when asked', async (lab) => {
  const [db, place] = [lab.path('leader.db'), lab.path('archive')]
  await makeDatabase(lab, db)
  const leader = await (await lab.leader(db)).ready()
  const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
  await until('it is known', async () => (await leader.status()).replicas.length === 1)
  await replica.stop()
  await leader.stop()
  const flags = ['--backup', place]
  const again = await (await lab.leader(db, { flags })).ready()
  const [before] = (await again.status()).backup?.places ?? []
  assert.deepEqual([before.isArchiving, before.isAwaitingReplica], [false, true])
  const { code, out, err } = await run(lab, ['now', '--db', db, '--json'])
  assert.equal(code, 0, err)
  const { epoch, txid } = await again.status()
  assert.equal(JSON.parse(out).places[0].position, `${epoch}-${txid}`)
  const [after] = (await again.status()).backup?.places ?? []
  assert.deepEqual([after.isArchiving, after.isAwaitingReplica], [true, undefined])
})
