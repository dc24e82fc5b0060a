/** A stop ends event streams, and nothing else with them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { RawHttp } from '../support/trafficLab.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const EVERY_MS = 5

/** `/events` sends an event every few milliseconds, `/wait` answers when released. */
class Application {
  readonly streams = new Set<ServerResponse>()
  readonly waiting: ServerResponse[] = []

  async start(lab: Lab): Promise<number> {
    const server = createServer(({ url }, response) => {
      if (url === '/wait') return void this.waiting.push(response)
      this.streams.add(response)
      response.on('close', () => this.streams.delete(response))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const timer = setInterval(() => response.write('data: x\n\n'), EVERY_MS)
      response.on('close', () => clearInterval(timer))
    }).listen(0, '127.0.0.1')
    lab.atEnd(() => {
      server.closeAllConnections()
      server.close()
    })
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
}

labTest('a stop ends a queued event stream, and answers the requests before it', async (lab) => {
  const application = new Application()
  const [port, appPort] = [await freePort(), await application.start(lab)]
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const node = await lab.leader(db, {
    flags: ['--proxy', `127.0.0.1:${port}`, '--upstream', `http://127.0.0.1:${appPort}`],
  })
  const raw = await RawHttp.open(lab, port)
  raw.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET /events HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('both are there', () => application.waiting.length + application.streams.size === 2)
  node.kill('SIGTERM')
  await until('the stream has ended', () => application.streams.size === 0)
  application.waiting[0].end('waited for')
  await raw.seen('waited for')
  const { code } = await within('the node ends', node.child.ended)
  assert.equal(code, 0, node.child.tail())
})
