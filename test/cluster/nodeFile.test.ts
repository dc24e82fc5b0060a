/** The role file, when the disk fails at the worst moment. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { NodeFile } from '../../src/cluster/nodeFile.ts'
import type { NodeRecord } from '../../src/cluster/nodeRecord.ts'
import { keyOf } from '../../src/errors.ts'
import { type FileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { until } from '../support/until.ts'

const FIRST: NodeRecord = {
  format: 2,
  node: 'node-a',
  cluster: 'cluster-a',
  role: 'replica',
  epoch: 3,
  term: 0,
  txidCeiling: 0,
  standby: false,
  leader: '10.0.0.1:8470',
  givenLeader: '',
  lineage: [],
  incarnation: '',
  members: [],
}

test('an update that fails after its rename is taken back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-node-file-'))
  try {
    let failing = false
    const file = await NodeFile.open(
      folder,
      {
        ...systemFileOps,
        async replace(path, content, kind) {
          await systemFileOps.replace(path, content, kind)
          const fails = failing
          failing = false
          if (fails) throw new Error('the folder could not be synced')
        },
      },
      FIRST,
    )
    failing = true
    await assert.rejects(file.update({ role: 'leader', epoch: 4 }), /could not be synced/)
    assert.equal(file.record.role, 'replica')
    assert.deepEqual(NodeFile.peek(folder), FIRST)
    await file.update({ role: 'leader', epoch: 4 })
    assert.equal(NodeFile.peek(folder)?.epoch, 4)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/**
 * A role file on a disk that fails every write while `isBad`. `isNamed`: the next failed write
 * still gets its name.
 */
async function onBadDisk(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-node-file-'))
  const disk = { isBad: false, isNamed: false }
  const ops: FileOps = {
    ...systemFileOps,
    async replace(path, content, kind) {
      if (!disk.isBad || disk.isNamed) await systemFileOps.replace(path, content, kind)
      // Only the first write gets that far.
      disk.isNamed = false
      if (disk.isBad) throw new Error('the disk is bad')
    },
  }
  const file = await NodeFile.open(folder, ops, FIRST)
  t.after(async () => {
    await file.stop()
    rmSync(folder, { recursive: true })
  })
  return { file, disk, written: () => NodeFile.peek(folder) }
}

test('an uncertain role is reported, and put back as soon as the disk allows', async (t) => {
  const { file, disk, written } = await onBadDisk(t)
  Object.assign(disk, { isBad: true, isNamed: true })
  await assert.rejects(
    file.update({ role: 'leader', epoch: 4 }),
    (error) => keyOf(error) === 'ROLE_UNSURE' && /the disk is bad/.test(String(error)),
  )
  assert.deepEqual([file.record.role, written()?.role], ['replica', 'leader'])
  disk.isBad = false
  await until('it is written again', () => written()?.role === 'replica')
})

test('a failed change of another field leaves the role certain', async (t) => {
  const { file, disk, written } = await onBadDisk(t)
  Object.assign(disk, { isBad: true, isNamed: true })
  await assert.rejects(
    file.update({ txidCeiling: 7 }),
    (error) => keyOf(error) !== 'ROLE_UNSURE' && /the disk is bad/.test(String(error)),
  )
  assert.deepEqual([file.record.txidCeiling, written()?.txidCeiling], [0, 7])
  disk.isBad = false
  await file.stop()
  assert.equal(written()?.txidCeiling, 0, 'a stop tries again')
})

test('an insisted change counts at once, and is written as soon as possible', async (t) => {
  const { file, disk, written } = await onBadDisk(t)
  disk.isBad = true
  const insisted = file.insist({ leader: '10.0.0.2:8470' })
  const behind = file.update({ epoch: 5 })
  await assert.rejects(insisted, /the disk is bad/)
  await assert.rejects(behind, /the disk is bad/)
  assert.deepEqual([file.record.leader, file.record.epoch], ['10.0.0.2:8470', 3])
  disk.isBad = false
  await until('it is written', () => written()?.leader === '10.0.0.2:8470')
})
