/** The role file, when the disk fails at the worst moment. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { NodeFile, type NodeRecord } from '../src/cluster/nodeFile.ts'
import { systemFileOps } from '../src/fileOps.ts'

const FIRST: NodeRecord = {
  format: 1,
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
  stateOf: { epoch: 0, leader: '' },
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
