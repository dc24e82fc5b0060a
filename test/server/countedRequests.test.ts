/** Requests of a listener of the private side, counted until they are over. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { Deferred } from '../../src/roles/deferred.ts'
import { counted, fewConnections } from '../../src/server/countedRequests.ts'
import { within } from '../support/until.ts'

test('each pipelined request hears of the close of its connection', async (t) => {
  const limits = {
    ...{ maxConnections: 10, maxClientConnections: 10, maxPipelined: 10 },
    ...{ bodyTimeoutMs: 10_000, sendTimeoutMs: 10_000 },
  }
  const connections = fewConnections(limits, 10, () => {})
  const open = new Set<ServerResponse>()
  const seen = new Deferred<void>()
  const over = new Deferred<void>()
  const server = createServer(
    counted(connections, (_request, response) => {
      open.add(response)
      response.once('close', () => {
        open.delete(response)
        if (open.size === 0) over.resolve()
      })
      if (open.size === 3) seen.resolve()
    }),
  )
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  connections.attach(server)
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3))
  await within('three requests are there', seen.promise)
  client.destroy()
  await within('all are over', over.promise)
})
