/** Nodes that are given the wrong side of another node. */
import assert from 'node:assert/strict'
import { freePort } from '../../src/cli/freePorts.ts'
import { labTest } from '../support/lab.ts'
import { ask, codeOf, SECRET } from '../support/trafficLab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

labTest('--leader naming a public side is reported, and the replica keeps trying', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const proxy = `127.0.0.1:${await freePort()}`
  await lab.leader(db, { flags: ['--proxy', proxy, '--upstream', 'http://127.0.0.1:9'] })
  const replica = await lab.replica(lab.path('copy.db'), proxy)
  const { lastError } = await until('it was answered', async () => {
    const status = await replica.status()
    return status.lastError ? status : undefined
  })
  assert.equal(lastError?.code, 'WALCAST_NODE_ANSWER')
  assert.match(lastError?.message ?? '', /answered 404 where a node takes replicas/)
  assert.equal((await replica.get('/livez')).status, 200)
})

labTest('--upstream naming a private side is reported to clients and operators', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const port = await freePort()
  const proxyPort = await freePort()
  const proxy = ['--proxy', `127.0.0.1:${proxyPort}`]
  const flags = [...proxy, '--upstream', `http://127.0.0.1:${port}`]
  await lab.leader(db, { port, flags, environment: { WALCAST_SECRET: SECRET } })
  for (const method of ['GET', 'POST']) {
    const answer = await ask(proxyPort, { method, path: '/' })
    assert.deepEqual([answer.status, codeOf(answer)], [508, 'FORWARD_LOOP'])
    assert.match(answer.body.toString(), /give --upstream the address of the application/)
  }
})
