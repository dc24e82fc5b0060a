/** A replica dies at each step of keeping rows aside, and loses none of them. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync } from 'node:fs'
import type { TestContext } from 'node:test'
import type { FileOp } from '../../src/platform/fileOps.ts'
import { compared, keptPath, restore, startPair } from '../support/keptPair.ts'
import { type Lab, nodeArguments, requireSame } from '../support/lab.ts'

/** Each with the occurrence at which the process dies. */
export const KEEPING_STEPS: readonly (readonly [FileOp, number])[] = [
  ['kept.write', 1],
  ['kept.sync', 1],
  ['kept.write', 2],
  ['kept.write', 3],
  ['kept.sync', 3],
  ['state.write', 1],
  ['state.rename', 1],
  ['state.folder', 1],
  ['kept.rename', 1],
  ['wal.append', 1],
  ['index.publish', 1],
  ['state.rename', 2],
]

export async function keptRowCrashes(
  lab: Lab,
  t: TestContext,
  steps: readonly (readonly [FileOp, number])[],
): Promise<void> {
  const { leader, replica, backup } = await startPair(lab)
  await replica.stop()
  await restore(leader, backup)
  const restored = await lab.restart(leader)
  const { port } = replica.options
  for (const [op, count] of steps) {
    t.diagnostic(`${op} ${count}`)
    const db = lab.path(`${op}-${count}.db`)
    for (const suffix of ['', '-walcast'])
      cpSync(`${replica.db}${suffix}`, `${db}${suffix}`, { recursive: true })
    const args = nodeArguments('replica', { db, port, leader: restored.address })
    const child = lab.program('replicaAt', { args, op, count })
    child.expectEnd()
    assert.equal((await child.ended).signal, 'SIGKILL', child.tail())
    const back = await lab.replica(db, restored, { port })
    await requireSame(lab, restored, back)
    const kept = await compared(back)
    assert.deepEqual(kept.rows, { removed: 1, changed: 1, added: 0 })
    assert.equal(readdirSync(`${db}-walcast/diverged`).length, 1, 'kept once')
    assert.ok(existsSync(`${keptPath(back, kept)}/rows.jsonl`))
    await back.stop()
  }
}
