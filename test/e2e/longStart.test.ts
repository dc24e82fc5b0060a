/** A slow start does not count as standing still; a freeze during the start does. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest, nodeArguments } from '../support/lab.ts'
import { silentPeer } from '../support/silentPeer.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const FROZEN_MS = 1000
const STOOD_STILL = 'this node stood still'

async function startSlowly(lab: Lab) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const { address, asked } = await silentPeer(lab)
  const flags = [
    '--frozen-after',
    `${FROZEN_MS}ms`,
    '--peer-timeout',
    `${4 * FROZEN_MS}ms`,
    '--peers',
    address,
  ]
  const options = { db, port: await freePort(), flags }
  const child = lab.cli(nodeArguments('leader', options))
  const running = async () => {
    await child.errorLine((line) => line.includes('"msg":"running"'), 0, 60_000)
    return lab.nodeOf('leader', options, child)
  }
  return { child, asked, running }
}

labTest('a slow start does not count as standing still', async (lab) => {
  const { running } = await startSlowly(lab)
  const leader = await (await running()).ready()
  await until('it takes writes', async () => (await leader.get('/leader')).status === 200)
  // The detector checks four times a second.
  await delay(FROZEN_MS)
  assert.deepEqual(leader.logged(STOOD_STILL), [])
})

labTest('a node frozen during its start asks its peers again', async (lab) => {
  const { child, running, asked } = await startSlowly(lab)
  await asked
  child.kill('SIGSTOP')
  await delay(2 * FROZEN_MS)
  child.kill('SIGCONT')
  const leader = await running()
  await until('it has noticed', () => leader.logged(STOOD_STILL).length > 0)
  await until('it takes writes', async () => (await leader.get('/leader')).status === 200)
})
