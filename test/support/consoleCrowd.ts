/**
 * A leader that many replicas subscribe to. They are sockets that speak the protocol, and answer
 * what a node asks another one: as many whole nodes would take half a minute of a processor.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { NodeStatus } from '../../src/api/nodeStatus.ts'
import type { Lab } from './lab.ts'
import { RawClient } from './rawClient.ts'
import type { TestNode } from './testNode.ts'
import { makeDatabase } from './workload.ts'

/** One that lags, one that does not answer. */
export const LATE = 'replica-07'
export const AWAY = 'replica-42'

/** Each has a loopback address of its own. */
const NETWORK = '127.0.61.'
const LATE_MS = 4200

export async function startCrowd(lab: Lab, count: number): Promise<TestNode> {
  const db = lab.path('crowd.db')
  await makeDatabase(lab, db)
  const flags = ['--name', 'node-a', '--peer-look', '200ms']
  const leader = await lab.leader(db, { flags })
  const port = await answerAsReplicas(lab, await leader.status())
  for (let i = 1; i <= count; i++) {
    const client = await RawClient.open(leader)
    lab.atEnd(() => client.close())
    client.hello({ node: nameOf(i), advertise: `${NETWORK}${i}:${port}`, instance: instanceOf(i) })
  }
  return leader
}

const nameOf = (i: number) => `replica-${String(i).padStart(2, '0')}`
const instanceOf = (i: number) => i.toString(16).padStart(16, '0')

/** Gives the port at which all of them listen. */
async function answerAsReplicas(lab: Lab, { role: _role, ...leader }: NodeStatus): Promise<number> {
  const server = createServer(({ headers }, response) => {
    const [, i] = /^[\d.]+\.(\d+):/.exec(headers.host ?? '') ?? []
    const node = nameOf(Number(i))
    if (node === AWAY) return void response.destroy()
    const lagMs = node === LATE ? LATE_MS : 0
    const lag = { ...leader.lag, connected: true, lagMs, txidLag: lagMs }
    const own = {
      node,
      role: 'replica',
      state: 'streaming',
      leader: leader.node,
      lag,
      replicas: [],
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ ...leader, ...own }))
  })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  lab.atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
