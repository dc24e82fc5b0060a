/** The memory that a request through the proxy leaves behind. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { PROGRAMS } from '../support/paths.ts'
import { within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const CONNECTIONS = 16
const REQUESTS = 4000
/** A request takes some 40 KB while it runs, of which chains of garbage would keep 3 to 9. */
const MAX_LEFT_BYTES = 1500

/** GETs on kept connections, `CONNECTIONS` at once. Calls `onHalf` while some are running. */
async function get(
  port: number,
  count: number,
  onHalf: () => Promise<void> = async () => {},
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  let left = count
  const one = async () => {
    const sent = request({ host: '127.0.0.1', port, agent, path: '/' })
    sent.end()
    const [answer] = await once(sent, 'response')
    answer.resume()
    await once(answer, 'end')
    assert.equal(answer.statusCode, 200)
  }
  let looking: Promise<void> | undefined
  const client = async () => {
    while (left-- > 0) {
      if (left < count / 2) looking ??= onHalf()
      await one()
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, client))
  await looking
  agent.destroy()
}

async function startApplication(lab: Lab): Promise<number> {
  const server = createServer((_request, response) => response.end('x'.repeat(100))).listen(
    0,
    '127.0.0.1',
  )
  lab.atEnd(() => void server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

labTest('garbage of reads is collected young', async (lab) => {
  const [port, appPort] = [await freePort(), await startApplication(lab)]
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const node = await lab.leader(db, {
    environment: { NODE_OPTIONS: `--import ${join(PROGRAMS, 'garbageProbe.js')}` },
    flags: ['--proxy', `127.0.0.1:${port}`, '--upstream', `http://127.0.0.1:${appPort}`],
  })
  const look = async (): Promise<number> => {
    const said = node.child.line((line) => line.includes('leftBytes'), node.child.out.length)
    node.child.kill('SIGUSR2')
    const { text } = await within('it looks', said)
    return JSON.parse(text).leftBytes
  }
  // Requests running at a look become old garbage, where a chain would begin.
  for (let i = 0; i < 3; i++) await get(port, 1000, async () => void (await look()))
  await get(port, REQUESTS)
  const leftBytes = (await look()) / REQUESTS
  assert.ok(leftBytes < MAX_LEFT_BYTES, `${Math.round(leftBytes)} bytes of each`)
})
