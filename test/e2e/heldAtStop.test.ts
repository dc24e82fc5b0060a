/**
 * A node that stops while it holds requests answers each of them, so that the client may try
 * elsewhere.
 */
import assert from 'node:assert/strict'
import { freePort } from '../../src/cli/freePorts.ts'
import { labTest } from '../support/lab.ts'
import { ask, codeOf, startTraffic, valuesOf } from '../support/trafficLab.ts'
import { until } from '../support/until.ts'

const PATIENT = ['--drain', '2s', '--hold', '10m']

labTest('requests held when their node stops are answered 503', async (lab) => {
  const upstream = ['--upstream', `http://127.0.0.1:${await freePort()}`]
  const { leader, replica, atLeader, atReplica } = await startTraffic(lab, {
    leaderFlags: [...PATIENT, ...upstream],
    replicaFlags: PATIENT,
  })
  const forApplication = ask(atLeader, { method: 'POST', path: '/held', body: 'abc' })
  await until('it waits', async () => (await leader.metric('walcast_application_held')) === 1)
  await leader.stop()
  const forLeader = ask(atReplica, { method: 'POST', path: '/held', body: 'abc' })
  await until('it waits', async () => (await replica.metric('walcast_requests_held')) === 1)
  await replica.stop()
  for (const [held, code] of [
    [await forApplication, 'APP_UNREACHABLE'],
    [await forLeader, 'LEADER_AWAY'],
  ] as const) {
    assert.deepEqual([held.status, codeOf(held)], [503, code])
    assert.deepEqual(valuesOf(held, 'retry-after'), ['1'])
  }
})
