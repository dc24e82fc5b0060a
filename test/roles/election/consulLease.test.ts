/**
 * Leases in Consul, against a stand-in for its agent (`test/support/consulServer.ts`): Debian 12
 * ships no Consul.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { WalcastError } from '../../../src/errors.ts'
import type { ConsulAccess } from '../../../src/roles/election/consul/agent.ts'
import { NOTES_BYTES } from '../../../src/roles/election/consul/keys.ts'
import { ConsulLease } from '../../../src/roles/election/consulLease.ts'
import {
  type Lease,
  type LeaseServiceSetup,
  MAX_CANDIDATE_NOTES,
} from '../../../src/roles/election/leaseService.ts'
import { Authority } from '../../support/certificates.ts'
import { type ConsulFault, ConsulServer } from '../../support/consulServer.ts'
import { leaseContract } from '../../support/leaseContract.ts'

const PREFIX = 'walcast/orders'
const HOLDER = `${PREFIX}/lease/holder`
const TOKEN = '8a1f6f0e-6d4d-4a7e-9b53-token'
/** Consul ends a session at twice of this. */
const SHORT_TTL_MS = 150

async function consul(t: TestContext, leastTtlMs = 100): Promise<ConsulServer> {
  const server = await ConsulServer.start(t)
  server.behaviour.leastTtlMs = leastTtlMs
  return server
}

function open(
  t: TestContext,
  access: ConsulAccess,
  setup: Partial<LeaseServiceSetup> = {},
): ConsulLease {
  const service = new ConsulLease(
    { node: 'node-a', prefix: PREFIX, ttlMs: 10_000, timeoutMs: 2000, ...setup },
    access,
  )
  t.after(() => service.close())
  return service
}

async function taken(service: ConsulLease, value = 'a leads'): Promise<Lease> {
  const lease = await service.take((await service.look()).mark, value)
  assert.ok(lease)
  return lease
}

/** Fails a request of this path once. */
function failOnce(server: ConsulServer, path: string, fault: ConsulFault): void {
  server.behaviour.fault = (_, { pathname }) => {
    if (!pathname.startsWith(`/v1/${path}`)) return undefined
    server.behaviour.fault = () => undefined
    return fault
  }
}

function isAway(error: unknown): boolean {
  return error instanceof WalcastError && error.key === 'ELECTION_AWAY'
}

function isUnfit(text: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof WalcastError && error.key === 'ELECTION_UNFIT' && text.test(error.message)
}

/** How often a watch told of a change, and the next time that it does. */
function watched(t: TestContext, service: ConsulLease) {
  const end = new AbortController()
  t.after(() => end.abort())
  let count = 0
  let heard = () => {}
  service.watch(() => {
    count++
    heard()
  }, end.signal)
  return {
    end: () => end.abort(),
    count: () => count,
    /** Once `count` is at least this. */
    reaches: (least: number) =>
      new Promise<void>((resolve) => {
        heard = () => count >= least && resolve()
        heard()
      }),
  }
}

test('Consul keeps what every lock service promises', async (t) => {
  const server = await consul(t)
  await leaseContract(t, {
    open: (node, prefix) =>
      new ConsulLease({ node, prefix, ttlMs: SHORT_TTL_MS, timeoutMs: 2000 }, { url: server.url }),
  })
})

test('a TTL below the least of Consul is raised to that, and told', async (t) => {
  const server = await consul(t, 10_000)
  const lease = await taken(open(t, { url: server.url }, { ttlMs: 5000 }))
  assert.equal(lease.ttlMs, 10_000)
  assert.deepEqual(
    [...server.sessions.values()].map(({ TTL }) => TTL),
    ['10000ms'],
  )
})

test('a least TTL that is far from what was asked for is refused', async (t) => {
  const server = await consul(t, 3_600_000)
  const service = open(t, { url: server.url })
  await assert.rejects(service.probe(), isUnfit(/10000 ms is asked for, its sessions last from 36/))
})

test('no check of health ends the session of a leader', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const lease = await taken(service)
  await service.publish('note')
  server.failHealthChecks()
  assert.ok(await service.renew(lease))
  assert.deepEqual(await service.notes(), ['note'])
  for (const { Behavior, LockDelay, NodeChecks } of server.sessions.values())
    assert.deepEqual([Behavior, LockDelay, NodeChecks], ['delete', 0, []])
})

test('a probe leaves nothing behind', async (t) => {
  const server = await consul(t)
  await open(t, { url: server.url }).probe()
  assert.deepEqual(server.keys(), [])
  assert.equal(server.sessions.size, 0)
})

test('a Consul that does not do what a lease needs is refused', async (t) => {
  const spoils: [RegExp, (server: ConsulServer) => void][] = [
    [
      /check of health/,
      ({ behaviour }) => {
        behaviour.kept = (session) => ({ ...session, NodeChecks: ['serfHealth'] })
      },
    ],
    [
      /leave the keys/,
      ({ behaviour }) => {
        behaviour.kept = (session) => ({ ...session, Behavior: 'release' })
      },
    ],
    [
      /delay the next lock/,
      ({ behaviour }) => {
        behaviour.kept = (session) => ({ ...session, LockDelay: 15e9 })
      },
    ],
    [
      /another TTL/,
      ({ behaviour }) => {
        behaviour.kept = (session) => ({ ...session, TTL: '20s' })
      },
    ],
    [
      /all or nothing/,
      ({ behaviour }) => {
        behaviour.isTorn = true
      },
    ],
    [
      /may the token read/,
      ({ behaviour }) => {
        behaviour.hidesKeys = true
      },
    ],
    [
      /outlives/,
      ({ behaviour }) => {
        behaviour.fault = (_, { pathname }) =>
          pathname.startsWith('/v1/session/destroy/') ? { status: 200, body: 'true' } : undefined
      },
    ],
  ]
  for (const [text, spoil] of spoils) {
    const server = await consul(t)
    spoil(server)
    await assert.rejects(open(t, { url: server.url }).probe(), isUnfit(text))
  }
  const server = await consul(t)
  for (const prefix of ['wal cast', 'wal/../cast', 'walcast\u00fc'])
    await assert.rejects(open(t, { url: server.url }, { prefix }).probe(), isUnfit(/letters/))
  await open(t, { url: server.url }, { node: 'db1.example.com' }).probe()
})

test('who lost the key by hand holds it no more, though its session lives', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const lease = await taken(service)
  server.remove(HOLDER)
  assert.equal(await service.renew(lease), undefined)
  assert.equal(await service.amend(lease, 'b'), false)
  assert.equal(await service.release(lease, 'b'), false)
  assert.ok(server.sessions.has(lease.id))
  assert.equal((await service.look()).value, 'a leads')
})

test('a session that was ended by hand frees the lease', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const lease = await taken(service)
  server.endSession(lease.id)
  assert.equal(await service.renew(lease), undefined)
  assert.equal((await service.look()).isHeld, false)
})

test('a mark of one value is not that of the same value written again', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  await service.release(await taken(service, 'same'))
  const { mark } = await service.look()
  await service.release(await taken(service, 'same'))
  assert.equal(await service.take(mark, 'other'), undefined)
  assert.equal((await service.look()).value, 'same')
})

test('what was held when it was looked at is not asked for', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const lease = await taken(service)
  const { mark } = await service.look()
  await service.release(lease)
  const asked = server.log.length
  assert.equal(await service.take(mark, 'late'), undefined)
  assert.ok(!server.log.slice(asked).includes('PUT session/create'))
})

test('a session that took nothing is ended', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const { mark } = await service.look()
  await service.release(await taken(service))
  assert.equal(await service.take(mark, 'late'), undefined)
  await service.close()
  assert.equal(server.sessions.size, 0)
})

test('a lease whose taking was not answered is given back', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const { mark } = await service.look()
  failOnce(server, 'txn', 'lost answer')
  await assert.rejects(service.take(mark, 'a leads'), isAway)
  assert.equal(server.textOf(`${PREFIX}/lease/value`), 'a leads')
  await service.close()
  assert.equal(server.sessions.size, 0)
  assert.equal(server.textOf(HOLDER), undefined)
})

test('whatever else Consul answers is no answer, and holds no token', async (t) => {
  const faults: [string, ConsulFault][] = [
    ['no leader', { status: 500, body: 'No cluster leader' }],
    ['overload', { status: 429, body: 'rate limited' }],
    ['rights', { status: 403, body: `Permission denied: ${TOKEN} lacks key:write` }],
    [
      'rights in a transaction',
      {
        status: 409,
        body: JSON.stringify({ Results: null, Errors: [{ OpIndex: 0, What: `denied ${TOKEN}` }] }),
      },
    ],
    ['a conflict without reasons', { status: 409, body: '{"Errors":[]}' }],
    ['a conflict of others', { status: 409, body: 'conflict' }],
    ['a page', { status: 200, body: '<html>sign in</html>' }],
    ['another service', { status: 200, body: '{}' }],
    ['null', { status: 200, body: 'null' }],
    ['another page', { status: 404, body: '404 page not found' }],
    ['a redirect', { status: 302, body: '' }],
    ['too much', { status: 200, body: `[${' '.repeat(NOTES_BYTES + 1)}]` }],
    ['a cut', 'cut'],
  ]
  const server = await consul(t)
  const service = open(t, { url: server.url, token: TOKEN })
  const lease = await taken(service)
  const calls: [string, () => Promise<unknown>][] = [
    ['look', () => service.look()],
    ['take', () => service.take('0', 'x')],
    ['renew', () => service.renew(lease)],
    ['amend', () => service.amend(lease, 'x')],
    ['release', () => service.release(lease, 'x')],
    ['publish', () => service.publish('x')],
    ['keepNote', () => service.keepNote()],
    ['notes', () => service.notes()],
    ['probe', () => service.probe()],
  ]
  for (const [fault, answer] of faults)
    for (const [call, make] of calls) {
      server.behaviour.fault = () => answer
      await assert.rejects(make(), (error: unknown) => {
        assert.ok(isAway(error), `${call}, ${fault}: ${error}`)
        assert.ok(error instanceof WalcastError && !error.line.includes(TOKEN), `${error}`)
        return true
      })
    }
  server.behaviour.fault = () => undefined
  assert.ok(await service.renew(lease))
})

test('silence ends with the time that one call may take', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url }, { timeoutMs: 100 })
  server.behaviour.fault = () => 'silence'
  await assert.rejects(service.look(), /no answer within \d+ ms/)
})

test('an agent that is not there is away', async (t) => {
  const server = await consul(t)
  const { url } = server
  await server.stop()
  await assert.rejects(open(t, { url }).look(), (error: unknown) => {
    assert.ok(isAway(error))
    assert.match(String(error), /Consul at http:\/\/127.*ECONNREFUSED/)
    return true
  })
})

test('each request carries the token; another one may not', async (t) => {
  const server = await consul(t)
  server.behaviour.token = TOKEN
  const service = open(t, { url: server.url, token: TOKEN })
  await service.probe()
  const lease = await taken(service)
  assert.ok(server.tokens.every((token) => token === TOKEN))
  server.behaviour.token = 'another'
  await assert.rejects(service.renew(lease), isAway)
  await assert.rejects(service.amend(lease, 'x'), /Permission denied/)
})

test('agent and node know each other by certificates', async (t) => {
  const authority = new Authority('consul of the test')
  const [own, agents] = [authority.issue('node-a'), authority.issue('agent')]
  const server = await ConsulServer.start(t, {
    key: agents.key,
    cert: agents.certificate,
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: true,
  })
  const { url } = server
  const ca = authority.certificate
  assert.match(url, /^https:/)
  const tls = { ca, cert: own.certificate, key: own.key }
  await open(t, { url, tls }).probe()
  await assert.rejects(open(t, { url, tls: { ca } }).look(), isAway)
  const others = new Authority('another')
  await assert.rejects(open(t, { url, tls: { ...tls, ca: others.certificate } }).look(), isAway)
})

test('a watch tells of changes, not of answers', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const told = watched(t, service)
  await told.reaches(1)
  const lease = await taken(service)
  await told.reaches(2)
  await server.waits()
  server.wakeAll()
  await server.waits()
  assert.equal(told.count(), 2)
  await service.publish('a note is no change of the lease')
  await service.amend(lease, 'b')
  await told.reaches(3)
  await service.release(lease)
  await told.reaches(4)
  assert.equal(told.count(), 4)
})

test('a watch begins anew when the index goes back', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const told = watched(t, service)
  await told.reaches(1)
  await taken(service)
  await told.reaches(2)
  await server.waits()
  const asked: number[] = []
  server.behaviour.fault = (_, { searchParams }) => {
    asked.push(Number(searchParams.get('index')))
    return undefined
  }
  server.restartEmpty()
  await told.reaches(3)
  await server.waits()
  assert.deepEqual(asked, [0, server.index])
  await taken(service)
  await told.reaches(4)
})

test('a watch tells when it can tell again, and takes no answer without an index', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const told = watched(t, service)
  await told.reaches(1)
  for (const index of ['', '0', '-1', 'many', '9007199254740993']) {
    const before = told.count()
    server.behaviour.index = () => {
      server.behaviour.index = String
      return index
    }
    await server.waits()
    server.wakeAll()
    await told.reaches(before + 1)
  }
})

test('a watch ends with its signal and with the service', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  const told = watched(t, service)
  await told.reaches(1)
  told.end()
  await taken(service)
  assert.equal(told.count(), 1)
  const other = watched(t, service)
  await other.reaches(1)
  await service.close()
  const asked = server.log.length
  await taken(open(t, { url: server.url }, { prefix: 'another' }))
  assert.equal(server.log.slice(asked).filter((each) => each.includes('orders/lease')).length, 0)
})

test('a note takes the place of that of a former process', async (t) => {
  const server = await consul(t)
  const former = open(t, { url: server.url })
  const service = open(t, { url: server.url })
  await former.publish('former')
  await service.publish('present')
  assert.deepEqual(await service.notes(), ['present'])
  await former.withdrawNote()
  assert.deepEqual(await service.notes(), ['present'])
})

test('a note whose session ended, or that was not answered, is published again', async (t) => {
  const server = await consul(t)
  const service = open(t, { url: server.url })
  await service.keepNote()
  await service.publish('note')
  for (const id of server.sessions.keys()) server.endSession(id)
  assert.deepEqual(await service.notes(), [])
  await service.keepNote()
  assert.deepEqual(await service.notes(), ['note'])
  failOnce(server, 'txn', 'cut')
  await assert.rejects(service.publish('second note'), isAway)
  await service.keepNote()
  assert.deepEqual(await service.notes(), ['second note'])
  failOnce(server, 'session/destroy/', 'cut')
  await assert.rejects(service.withdrawNote(), isAway)
  await service.keepNote()
  await service.withdrawNote()
  assert.deepEqual(await service.notes(), [])
  assert.equal(server.sessions.size, 0)
})

test('no more notes are given than can be read', async (t) => {
  const server = await consul(t)
  const services = Array.from({ length: MAX_CANDIDATE_NOTES + 3 }, (_, i) =>
    open(t, { url: server.url }, { node: `node-${i}` }),
  )
  await Promise.all(services.map((service, i) => service.publish(`note ${i}`)))
  assert.equal((await services[0].notes()).length, MAX_CANDIDATE_NOTES)
})
