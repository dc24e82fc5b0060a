/** Routes by which members come and go. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { LEAVE_PATH, type MembershipDesk } from '../../src/api/membership.ts'
import { Deferred } from '../../src/roles/deferred.ts'
import { addMemberRoutes } from '../../src/server/memberRoutes.ts'

const REQUEST = `POST ${LEAVE_PATH} HTTP/1.1\r\nHost: node\r\nContent-Length: 0\r\n\r\n`
const LEFT = { node: 'a', cluster: 'c', told: null, db: '/a.db', epoch: 1, txid: 1 }

for (const isGone of [false, true])
  test(`a node that has left ends, though who asked ${isGone ? 'is gone' : 'waits'}`, async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    const ended = new Deferred<void>()
    const asked = new Deferred<void>()
    const told = new Deferred<typeof LEFT>()
    const desk: Partial<MembershipDesk> = {
      leave: () => {
        asked.resolve()
        return told.promise
      },
      end: () => ended.resolve(),
    }
    addMemberRoutes(app, desk as MembershipDesk, () => ({
      text: 'here',
      asker: 'here',
      passesOn: false,
    }))
    await app.listen({ port: 0, host: '127.0.0.1' })
    const accepted = once(app.server, 'connection')
    const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    t.after(() => client.destroy())
    client.write(REQUEST)
    const [socket] = await accepted
    await asked.promise
    if (isGone) {
      client.destroy()
      await once(socket, 'close')
    }
    told.resolve(LEFT)
    await ended.promise
    assert.ok(socket.destroyed === isGone)
  })
