/** A real etcd: one member, three, behind TLS; frozen, killed, emptied, and with lost answers. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { EtcdGateway } from '../../../src/roles/election/etcd/etcdGateway.ts'
import { EtcdLease, type EtcdSetup } from '../../../src/roles/election/etcd/etcdLease.ts'
import { watchEtcd } from '../../../src/roles/election/etcd/etcdWatch.ts'
import type { Lease } from '../../../src/roles/election/leaseService.ts'
import { Authority, writeIssued } from '../../support/certificates.ts'
import { type Etcd, encoded, startEtcd } from '../../support/etcd.ts'
import { etcdProxy } from '../../support/etcdProxy.ts'
import { leaseContract } from '../../support/leaseContract.ts'
import { until } from '../../support/until.ts'

const TTL_MS = 1_000
/** No test waits for it. */
const LONG_TTL_MS = 600_000
/** A busy machine may be slow; nothing below waits for it where etcd answers. */
const TIMEOUT_MS = 10_000
/** Where a member hangs. */
const SHORT_MS = 1_000

let locks = 0

function lock(): string {
  return `walcast/lock-${++locks}`
}

function client(t: TestContext, setup: Partial<EtcdSetup> & { endpoints: readonly string[] }) {
  const lease = new EtcdLease({
    ...{ node: 'node-a', prefix: 'walcast/lock', ttlMs: LONG_TTL_MS, timeoutMs: TIMEOUT_MS },
    ...setup,
  })
  t.after(() => lease.close())
  return lease
}

async function taken(service: EtcdLease, value = 'a leads'): Promise<Lease> {
  const lease = await service.take((await service.look()).mark, value)
  assert.ok(lease)
  return lease
}

/** How often `service` told of changes, as something to wait for. */
function told(t: TestContext, service: EtcdLease) {
  const end = new AbortController()
  t.after(() => end.abort())
  const count = { times: 0, next: async () => {} }
  service.watch(() => count.times++, end.signal)
  count.next = async () => {
    const before = count.times
    await until('a change is told', () => count.times > before)
  }
  return count
}

const isAway = (detail: RegExp) => (error: { code?: string; message?: string }) => {
  assert.equal(error.code, 'WALCAST_ELECTION_AWAY')
  assert.match(error.message ?? '', detail)
  return true
}

test('one etcd', async (t) => {
  const etcd = await startEtcd(t)
  const { endpoints } = etcd

  await t.test('it keeps what every lock service promises', (each) =>
    leaseContract(each, {
      open: (node, prefix) => client(each, { endpoints, node, prefix, ttlMs: TTL_MS }),
    }),
  )

  await t.test('what it grants is what counts', async (each) => {
    const short = await taken(client(each, { endpoints, prefix: lock(), ttlMs: 10 }))
    // The least of an etcd with these ticks.
    assert.equal(short.ttlMs, 1_000)
    const odd = await taken(client(each, { endpoints, prefix: lock(), ttlMs: 4_001 }))
    assert.equal(odd.ttlMs, 5_000)
  })

  await t.test('a lease revoked by hand is lost, which is told', async (each) => {
    const prefix = lock()
    const a = client(each, { endpoints, prefix })
    const b = client(each, { endpoints, prefix, node: 'node-b' })
    const lease = await taken(a)
    const changes = told(each, b)
    await changes.next()
    await Promise.all([changes.next(), etcd.ask('/v3/lease/revoke', { ID: lease.id })])
    assert.equal((await b.look()).isHeld, false)
    assert.equal(await a.renew(lease), undefined)
    assert.equal(await a.amend(lease, 'a again'), false)
    assert.equal(await a.release(lease, 'a again'), false)
    assert.equal((await b.look()).value, 'a leads')
  })

  await t.test('notes wake nobody', async (each) => {
    const prefix = lock()
    const a = client(each, { endpoints, prefix })
    const changes = told(each, client(each, { endpoints, prefix }))
    await changes.next()
    const before = changes.times
    await a.publish('one')
    await a.publish('two')
    await a.withdrawNote()
    // The watch would have told of them before this.
    await Promise.all([changes.next(), taken(a)])
    assert.ok(changes.times - before <= 2, `told ${changes.times - before} times`)
  })

  await t.test('a watch goes on when etcd is compacted', async (each) => {
    const prefix = lock()
    const a = client(each, { endpoints, prefix })
    const changes = told(each, client(each, { endpoints, prefix }))
    await changes.next()
    const lease = await taken(a)
    const { header } = await etcd.ask('/v3/kv/range', { key: encoded('x') })
    const { revision } = header as { revision: string }
    await etcd.ask('/v3/kv/compaction', { revision, physical: true })
    await Promise.all([changes.next(), a.release(lease)])
  })

  await t.test('a note whose lease was revoked by hand is published again', async (each) => {
    const prefix = lock()
    const a = client(each, { endpoints, prefix })
    await a.publish('a is fit')
    const { kvs } = (await etcd.ask('/v3/kv/range', {
      key: encoded(`${prefix}/notes/node-a`),
    })) as { kvs: { lease: string }[] }
    await etcd.ask('/v3/lease/revoke', { ID: kvs[0].lease })
    assert.deepEqual(await a.notes(), [])
    await a.keepNote()
    assert.deepEqual(await a.notes(), ['a is fit'])
  })

  await lostAnswers(t, etcd)
})

async function lostAnswers(t: TestContext, etcd: Etcd): Promise<void> {
  const [direct] = etcd.endpoints

  await t.test('a take whose answer is lost is known by another member', async (each) => {
    const proxy = await etcdProxy(each, direct)
    const a = client(each, { endpoints: [proxy.origin, direct], prefix: lock() })
    const { mark } = await a.look()
    proxy.fault = (path) => (path === '/v3/kv/txn' ? 'lose' : 'pass')
    const lease = await a.take(mark, 'a leads')
    assert.ok(lease)
    assert.ok(await a.renew(lease))
    assert.equal(await a.amend(lease, 'a still leads'), true)
  })

  await t.test('a take that nobody answered does not stand in the way', async (each) => {
    const prefix = lock()
    const proxy = await etcdProxy(each, direct)
    const a = client(each, { endpoints: [proxy.origin], prefix })
    const b = client(each, { endpoints: [direct], prefix, node: 'node-b' })
    const { mark } = await a.look()
    const changes = told(each, b)
    await changes.next()
    proxy.fault = (path) => (path === '/v3/kv/txn' ? 'lose' : 'pass')
    await assert.rejects(a.take(mark, 'a leads'), isAway(/the connection ended before an answer/))
    await until('the lease ends long before its TTL', async () => !(await b.look()).isHeld)
    assert.equal((await b.look()).value, 'a leads')
    await taken(b, 'b leads')
  })

  await t.test('a note whose publication failed is published by the next call', async (each) => {
    const proxy = await etcdProxy(each, direct)
    const a = client(each, { endpoints: [proxy.origin], prefix: lock() })
    proxy.fault = (path) => (path === '/v3/kv/txn' ? 'cut' : 'pass')
    await assert.rejects(a.publish('a is fit'), isAway(/the connection ended/))
    proxy.fault = () => 'pass'
    await a.keepNote()
    assert.deepEqual(await a.notes(), ['a is fit'])
  })

  await t.test('an unlucky take leaves no lease behind', async (each) => {
    const prefix = lock()
    const proxy = await etcdProxy(each, direct)
    const a = client(each, { endpoints: [proxy.origin], prefix })
    const { mark } = await a.look()
    await taken(client(each, { endpoints: [direct], prefix, node: 'node-b' }), 'b leads')
    assert.equal(await a.take(mark, 'a leads'), undefined)
    await until('it is revoked', () => proxy.asked.includes('/v3/lease/revoke'))
  })

  await t.test('an amendment and a release whose answers are lost are done once', async (each) => {
    const prefix = lock()
    const proxy = await etcdProxy(each, direct)
    const a = client(each, { endpoints: [proxy.origin, direct], prefix })
    const lease = await taken(a)
    proxy.fault = (path) => (path === '/v3/kv/txn' ? 'lose' : 'pass')
    assert.equal(await a.amend(lease, '2'), true)
    assert.equal((await a.look()).value, '2')
    // The proxy is asked first again once the other one fails; here it is made so.
    const b = client(each, { endpoints: [proxy.origin, direct], prefix })
    assert.equal(await b.release(lease, '3'), true)
    const { value, isHeld } = await b.look()
    assert.deepEqual({ value, isHeld }, { value: '3', isHeld: false })
  })

  await t.test('an amendment that comes late overwrites none that came since', async (each) => {
    const prefix = lock()
    const proxy = await etcdProxy(each, direct)
    const a = client(each, { endpoints: [proxy.origin], prefix, timeoutMs: SHORT_MS })
    const lease = await taken(a, '1')
    let late = ''
    proxy.fault = (path, body) => {
      if (path !== '/v3/kv/txn') return 'pass'
      late = body
      return 'hang'
    }
    await assert.rejects(a.amend(lease, '2'), isAway(/no answer in \d+ ms/))
    proxy.fault = () => 'pass'
    assert.equal(await a.amend(lease, '3'), true)
    await etcd.ask('/v3/kv/txn', JSON.parse(late))
    assert.equal((await a.look()).value, '3')
  })

  await t.test('a renewal counts from the attempt that was answered', async (each) => {
    const proxy = await etcdProxy(each, direct)
    const a = client(each, {
      ...{ endpoints: [proxy.origin, direct], prefix: lock(), timeoutMs: SHORT_MS },
    })
    const begunMs = performance.now()
    const lease = await taken(a)
    assert.ok(lease.sentMs > begunMs && lease.sentMs < performance.now())
    let hungMs = 0
    proxy.fault = () => {
      hungMs = performance.now()
      return 'hang'
    }
    const renewed = await a.renew(lease)
    assert.ok(renewed)
    assert.ok(renewed.sentMs > hungMs)
    assert.ok(renewed.sentMs <= performance.now())
    // The member that hung is not asked again.
    proxy.fault = () => assert.fail('it was asked')
    assert.ok(await a.renew(renewed))
  })

  await t.test('a watch leaves a member that hangs, and one that ends it', async (each) => {
    const prefix = lock()
    const proxy = await etcdProxy(each, direct)
    const setup = { endpoints: [proxy.origin, direct], prefix, timeoutMs: SHORT_MS }
    const a = client(each, setup)
    const changes = told(each, a)
    await changes.next()
    proxy.fault = () => 'hang'
    await Promise.all([changes.next(), a.look()])
    const b = client(each, { endpoints: [direct], prefix, node: 'node-b' })
    await Promise.all([changes.next(), taken(b)])
    assert.equal(proxy.asked.filter((path) => path === '/v3/watch').length, 1)
  })

  await t.test('a watch that ends, or hears nothing, is made anew', async (each) => {
    const proxy = await etcdProxy(each, direct)
    const a = client(each, { endpoints: [proxy.origin], prefix: lock() })
    const changes = told(each, a)
    await changes.next()
    proxy.cut()
    await until('it watches again', () => proxy.asked.length >= 2)
    const { gateway, end } = silentWatch(each, [proxy.origin])
    await until('it watches anew', () => proxy.asked.length >= 4)
    end.abort()
    await gateway.close()
  })
}

/** A watch that is content with no silence. */
function silentWatch(t: TestContext, endpoints: readonly string[]) {
  const end = new AbortController()
  t.after(() => end.abort())
  const certificates = {}
  const gateway = new EtcdGateway({
    endpoints,
    certificates,
    user: undefined,
    timeoutMs: TIMEOUT_MS,
  })
  const setup = { keys: [encoded('a'), encoded('b')], silentMs: 1, timeoutMs: TIMEOUT_MS }
  void watchEtcd(gateway, setup, () => {}, end.signal)
  return { gateway, end }
}

test('an etcd that was restarted empty', async (t) => {
  const etcd = await startEtcd(t)
  const { endpoints } = etcd
  const [member] = etcd.members
  const a = client(t, { endpoints, timeoutMs: SHORT_MS })
  const b = client(t, { endpoints, timeoutMs: SHORT_MS, node: 'node-b' })
  await b.release(await taken(b, 'b leads'))
  const { mark } = await a.look()
  const lease = await taken(b, 'b leads again')
  const changes = told(t, a)
  await changes.next()
  await a.publish('a is fit')

  await member.stop()
  await assert.rejects(b.look(), isAway(/connection refused at http:/))
  await assert.rejects(b.probe(), isAway(/connection refused at http:/))
  member.wipe()
  await Promise.all([etcd.start(), changes.next()])

  assert.equal((await answered(() => b.look())).value, undefined)
  assert.equal(await b.renew(lease), undefined)
  assert.equal(await b.amend(lease, 'b leads on'), false)
  await b.release(await taken(b, 'b leads anew'))
  // The revision that the value had before, and another value.
  assert.equal((await b.look()).mark.split('.')[1], mark.split('.')[1])
  assert.equal(await a.take(mark, 'a leads'), undefined)
  await a.keepNote()
  assert.deepEqual(await b.notes(), ['a is fit'])
  await Promise.all([changes.next(), taken(a)])
})

test('three members', async (t) => {
  const etcd = await startEtcd(t, { members: 3 })
  const [first, second] = etcd.members
  const setup = { endpoints: etcd.endpoints, timeoutMs: SHORT_MS }
  const a = client(t, setup)
  const b = client(t, { ...setup, node: 'node-b' })
  await a.probe()
  const lease = await taken(a)
  const changes = told(t, b)
  await changes.next()

  await t.test('one that is frozen costs a part of a call', async () => {
    first.freeze()
    assert.ok(await answered(() => a.renew(lease)))
    assert.equal((await answered(() => b.look())).isHeld, true)
    await Promise.all([changes.next(), answered(() => a.amend(lease, 'a leads on'))])
    first.thaw()
  })

  await t.test('two that are gone leave no leader; their return is noticed', async () => {
    await Promise.all([first.stop(), second.stop()])
    await assert.rejects(
      a.look(),
      isAway(/^(?=.*connection refused at)(?=.*(no leader|no answer in|timed out))/),
    )
    await etcd.start([first, second])
    assert.ok(await answered(() => a.renew(lease)))
    assert.equal((await answered(() => b.look())).value, 'a leads on')
    await Promise.all([changes.next(), answered(() => a.release(lease))])
  })
})

/** The first answer: an election of etcd's own takes a while. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  const { answer } = await until('etcd answers', async () => ({ answer: await ask() }))
  return answer
}

test('an etcd with TLS and users', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-etcd-tls-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const authority = new Authority('etcd')
  // With users, etcd wants no common name in certificates of clients.
  const issued = authority.issue('')
  const ca = join(folder, 'ca.crt')
  writeFileSync(ca, authority.certificate)
  writeIssued(join(folder, 'etcd'), issued)
  const tls = { ca, cert: join(folder, 'etcd.crt'), key: join(folder, 'etcd.key') }
  const etcd = await startEtcd(t, { tls })
  const own = authority.issue('')
  const certificates = { ca: authority.certificate, cert: own.certificate, key: own.key }
  const { endpoints } = etcd
  const user = { name: 'walcast-a', password: 'correct horse' }
  await etcd.protect(user.name, user.password, 'walcast/lock')
  const a = client(t, { endpoints, certificates, user })

  await t.test('a member whose certificate is not known gets nothing', async (each) => {
    const { ca: _ca, ...without } = certificates
    const stranger = client(each, { endpoints, certificates: without })
    await assert.rejects(stranger.look(), isAway(/certificate is not accepted \(--election-ca\)/))
    const bare = client(each, { endpoints, certificates: { ca: authority.certificate } })
    await assert.rejects(bare.look(), isAway(/another certificate of this node|ended before/))
    const { certificate: cert, key } = authority.issue('node-a')
    const named = client(each, { endpoints, certificates: { ...certificates, cert, key } })
    await assert.rejects(named.look(), isAway(/400: .*certificates without common name/))
    const plain = client(each, { endpoints: [endpoints[0].replace('https', 'http')] })
    await assert.rejects(plain.look(), isAway(/not JSON|ended before|not HTTP/))
  })

  await t.test('a user that it does not know is refused, and no password shown', async (each) => {
    const without = client(each, { endpoints, certificates })
    await assert.rejects(
      without.look(),
      isAway(/(permission denied|user name is empty) \(.*--election-user/),
    )
    const wrong = { name: user.name, password: 'wrong horse' }
    await assert.rejects(
      client(each, { endpoints, certificates, user: wrong }).look(),
      (error: Error) =>
        isAway(/authentication failed, invalid user ID or password/)(error) &&
        !/horse/.test(inspect(error)),
    )
  })

  await t.test('a user may do what is below the prefix only', async (each) => {
    await a.probe()
    const elsewhere = client(each, { endpoints, certificates, user, prefix: 'walcast/other' })
    await assert.rejects(elsewhere.probe(), isAway(/403: etcdserver: permission denied/))
  })

  await t.test('it gets another token when the member has forgotten the first', async (each) => {
    const lease = await taken(a)
    const b = client(each, { endpoints, certificates, user, node: 'node-b' })
    const changes = told(each, b)
    await changes.next()
    await b.publish('b is fit')
    await etcd.members[0].stop()
    await Promise.all([changes.next(), etcd.start()])
    assert.equal((await answered(() => a.look())).value, 'a leads')
    assert.ok(await a.renew(lease))
    assert.deepEqual(await answered(() => b.notes()), ['b is fit'])
    await Promise.all([changes.next(), a.release(lease, 'b may lead')])
  })

  await t.test('it goes on when authentication is turned off, and on again', async () => {
    await etcd.unprotect()
    assert.equal((await a.look()).isHeld, false)
    await etcd.ask('/v3/auth/enable', {})
    assert.equal((await a.look()).isHeld, false)
  })
})
