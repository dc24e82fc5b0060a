/** What is no answer of etcd: each kind ends the call with a text, and changes nothing. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  EtcdRefusal,
  readLease,
  readMessages,
  readRange,
  readTxn,
  readVersion,
  textOf,
  WrongAnswer,
} from '../../../src/roles/election/etcd/etcdAnswers.ts'
import { EtcdLease, type EtcdSetup } from '../../../src/roles/election/etcd/etcdLease.ts'
import {
  MAX_CANDIDATE_NOTES,
  MAX_ELECTION_BYTES,
} from '../../../src/roles/election/leaseService.ts'
import { encoded } from '../../support/etcd.ts'
import { type EtcdProxy, etcdProxy, type WrongResponse } from '../../support/etcdProxy.ts'
import { answerText, rawServer } from '../../support/rawServer.ts'
import { until } from '../../support/until.ts'

/** Nothing listens there. */
const NOWHERE = 'http://127.0.0.1:1'
const HEADER = { cluster_id: '14841639068965178418', raft_term: '2', revision: '9' }

async function standIn(t: TestContext, answers: WrongResponse): Promise<EtcdProxy> {
  const proxy = await etcdProxy(t, NOWHERE)
  proxy.fault = () => answers
  return proxy
}

function client(t: TestContext, endpoints: readonly string[], more: Partial<EtcdSetup> = {}) {
  const lease = new EtcdLease({
    ...{ node: 'node-a', prefix: 'walcast/lock', ttlMs: 5_000, timeoutMs: 10_000, endpoints },
    ...more,
  })
  t.after(() => lease.close())
  return lease
}

const isError = (code: string, text: RegExp) => (error: { code?: string; message?: string }) => {
  assert.equal(error.code, code)
  assert.match(error.message ?? '', text)
  return true
}

const json = (body: object): WrongResponse => ({ body: JSON.stringify(body) })
const look = (kv: object) =>
  json({
    header: HEADER,
    responses: [{ response_range: {} }, { response_range: { kvs: [kv] } }],
  })

const WRONG: Readonly<Record<string, readonly [WrongResponse, RegExp]>> = {
  'no JSON': [{ body: '{"header":' }, /it is no JSON/],
  'a list': [{ body: '[]' }, /it is no JSON object/],
  nothing: [{ body: '' }, /it is empty/],
  'no header': [json({ responses: [] }), /header is no JSON object/],
  'no cluster': [json({ header: {} }), /"cluster_id" is missing/],
  'no responses': [json({ header: HEADER }), /responses\[0\] is no JSON object/],
  'responses that are no list': [json({ header: HEADER, responses: {} }), /"responses" is no list/],
  'no base64': [look({ mod_revision: '1', value: '%%%' }), /no base64/],
  'base64 that is cut': [look({ mod_revision: '1', value: 'YWJ' }), /no base64/],
  'no UTF-8': [look({ mod_revision: '1', value: '/w==' }), /no text/],
  'no revision': [look({ value: 'YQ==' }), /"mod_revision" is 0/],
  'a revision below 0': [
    look({ mod_revision: '-1', value: 'YQ==' }),
    /"mod_revision" is no number/,
  ],
  'a value that is too long': [
    look({ mod_revision: '1', value: encoded('x'.repeat(MAX_ELECTION_BYTES + 1)) }),
    /its value has 8193 bytes/,
  ],
  'an answer without end': [{ body: 'x'.repeat(10_000), endless: true }, /more than 65536 bytes/],
  'the page of a proxy': [
    { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>' },
    /it is not JSON \(text\/html, status 502\)/,
  ],
  'a page instead of an answer': [
    { headers: { 'content-type': 'text/html' }, body: '<h1>Log in</h1>' },
    /it is not JSON \(text\/html, status 200\)/,
  ],
  'a status without a reason': [{ status: 500, body: '{}' }, /it has the status 500/],
  'no leader': [
    { status: 503, body: '{"error":"etcdserver: no leader","code":14}' },
    /503: etcdserver: no leader at http:/,
  ],
  'an error of a newer gateway': [
    { status: 400, body: '{"code":3,"message":"etcdserver: mvcc: bad","details":[]}' },
    /400: etcdserver: mvcc: bad/,
  ],
  'marks that steer a terminal': [
    { status: 400, body: JSON.stringify({ error: 'a\u001b[31m\nb' }) },
    /400: a \[31m b$/,
  ],
}

test('what is no answer of etcd is said, and is no answer', async (t) => {
  for (const [name, [answers, text]] of Object.entries(WRONG))
    await t.test(name, async (each) => {
      const { origin } = await standIn(each, answers)
      const service = client(each, [origin])
      await assert.rejects(service.look(), isError('WALCAST_ELECTION_AWAY', text))
    })
})

test('a redirect is not followed', async (t) => {
  const target = await standIn(t, json({ header: HEADER }))
  const headers = { location: `${target.origin}/v3/kv/txn` }
  const { origin } = await standIn(t, { status: 307, headers, body: '{}' })
  await assert.rejects(
    client(t, [origin]).look(),
    isError('WALCAST_ELECTION_AWAY', /it has the status 307/),
  )
  assert.deepEqual(target.asked, [])
})

test('what is no HTTP, and what ends at once, is said', async (t) => {
  const noHttp = await rawServer(t, (_text, socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
  await assert.rejects(
    client(t, [`http://${noHttp.address}`]).look(),
    isError('WALCAST_ELECTION_AWAY', /its answer is not HTTP/),
  )
  const packed = answerText(200, 'x', ['content-type: application/json', 'content-encoding: gzip'])
  const gzip = await rawServer(t, (_text, socket) => socket.end(packed))
  await assert.rejects(
    client(t, [`http://${gzip.address}`]).look(),
    isError('WALCAST_ELECTION_AWAY', /it is no JSON/),
  )
})

test('no secret is shown, even if the other side repeats it', async (t) => {
  const user = { name: 'a', password: 'correct horse battery' }
  const proxy = await etcdProxy(t, NOWHERE)
  proxy.fault = (_path, body) => ({ status: 400, body: JSON.stringify({ error: `no: ${body}` }) })
  await assert.rejects(client(t, [proxy.origin], { user }).look(), (error: Error) => {
    isError('WALCAST_ELECTION_AWAY', /400: no: .*\*\*\*/)(error)
    return !/horse/.test(error.message)
  })
  const token = 'sEcReTtOkEnOfEtCd.17'
  proxy.fault = (path) =>
    path === '/v3/auth/authenticate'
      ? json({ header: HEADER, token })
      : { status: 400, body: JSON.stringify({ error: `bad token ${token}` }) }
  await assert.rejects(client(t, [proxy.origin], { user }).look(), (error: Error) => {
    isError('WALCAST_ELECTION_AWAY', /400: bad token \*\*\*/)(error)
    return !error.message.includes('tOkEn')
  })
})

test('an etcd that is too old, has no gateway, or is two, is unfit', async (t) => {
  const old = await standIn(t, json({ etcdserver: '3.3.27', etcdcluster: '3.3.0' }))
  await assert.rejects(
    client(t, [old.origin]).probe(),
    isError('WALCAST_ELECTION_UNFIT', /it is etcd 3\.3\.0, which is older than 3\.4/),
  )
  const version = json({ etcdserver: '3.5.9', etcdcluster: '3.5.0' })
  const ofCluster = async (cluster_id: string) => {
    const proxy = await etcdProxy(t, NOWHERE)
    proxy.fault = (path) => (path === '/version' ? version : json({ header: { cluster_id } }))
    return proxy
  }
  const [one, two] = [await ofCluster('1'), await ofCluster('2')]
  await assert.rejects(
    client(t, [one.origin, two.origin]).probe(),
    isError('WALCAST_ELECTION_UNFIT', /different clusters of etcd/),
  )
  const missing = { 'content-type': 'text/plain' }
  one.fault = (path) =>
    path === '/version' ? version : { status: 404, headers: missing, body: 'Not Found' }
  await assert.rejects(
    client(t, [one.origin]).probe(),
    isError('WALCAST_ELECTION_UNFIT', /no JSON gateway/),
  )
  await assert.rejects(
    client(t, [one.origin]).look(),
    isError('WALCAST_ELECTION_AWAY', /no JSON gateway/),
  )
})

test('another cluster of etcd is believed from the second call on', async (t) => {
  const proxy = await etcdProxy(t, NOWHERE)
  const ofCluster = (cluster_id: string) => () =>
    json({ header: { cluster_id }, responses: [{ response_range: {} }, { response_range: {} }] })
  const service = client(t, [proxy.origin])
  proxy.fault = ofCluster('1')
  assert.equal((await service.look()).isHeld, false)
  proxy.fault = ofCluster('2')
  await assert.rejects(
    service.look(),
    isError('WALCAST_ELECTION_AWAY', /it belongs to the cluster 2 of etcd, not to 1 as before/),
  )
  assert.equal((await service.look()).isHeld, false)
})

test('a renewal is void when etcd has elected another leader meanwhile', async (t) => {
  const proxy = await etcdProxy(t, NOWHERE)
  let [renewals, term] = [0, 2]
  const header = (raft_term: number) => ({ cluster_id: '1', raft_term: String(raft_term) })
  proxy.fault = (path) => {
    if (path === '/v3/cluster/member/list')
      return json({ header: header(2), members: [{}, {}, {}] })
    if (path === '/v3/kv/txn') return json({ header: header(term), succeeded: true })
    renewals++
    // The first is answered by a leader that is none any more.
    return json({ result: { header: header(renewals === 1 ? 2 : 3), ID: '7', TTL: '5' } })
  }
  const service = client(t, [proxy.origin])
  const before = { id: '7', ttlMs: 5_000, sentMs: 0 }
  term = 3
  assert.ok(await service.renew(before))
  assert.equal(renewals, 2)
  term = 4
  await assert.rejects(
    service.renew(before),
    isError('WALCAST_ELECTION_AWAY', /its own leader changes all the time/),
  )
})

test('a watch of what is no watch goes on trying, and the node looks', async (t) => {
  const created = '{"result":{"created":true}}\n'
  const wrong: WrongResponse[] = [
    { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>' },
    { body: created },
    { body: `${created}${created}{"result":{"canceled":true,"cancel_reason":"compacted"}}\n` },
    { body: `${created}${created}garbage\n` },
    { body: 'x'.repeat(100_000), endless: true },
    { status: 403, body: '{"error":"etcdserver: permission denied","code":7}' },
    { body: '{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}\n' },
  ]
  for (const answers of wrong) {
    const proxy = await standIn(t, answers)
    const service = client(t, [proxy.origin])
    const end = new AbortController()
    let told = 0
    service.watch(() => told++, end.signal)
    await until('it tries again', () => proxy.asked.length > 1 && told > 0)
    end.abort()
  }
})

test('notes are as many and as long as is agreed', () => {
  const kvs = Array.from({ length: MAX_CANDIDATE_NOTES }, () => ({
    mod_revision: '1',
    value: encoded('x'.repeat(MAX_ELECTION_BYTES)),
  }))
  assert.equal(readRange({ kvs }).length, MAX_CANDIDATE_NOTES)
})

test('fields that are left out are 0 or false; numbers may be numbers', () => {
  assert.deepEqual(readTxn({}), { succeeded: false, responses: [] })
  assert.deepEqual(readLease({ ID: '7' }), { id: '7', ttlMs: 0 })
  assert.deepEqual(readLease({ ID: 7, TTL: 5 }), { id: '7', ttlMs: 5_000 })
  assert.deepEqual(readLease({ ID: '7', TTL: '-1' }), { id: '7', ttlMs: 0 })
  for (const wrong of [{}, { ID: 'x' }, { ID: '7', TTL: 'x' }, { ID: '7', TTL: 1.5 }])
    assert.throws(() => readLease(wrong), WrongAnswer)
  assert.throws(() => readTxn({ succeeded: 1 }), WrongAnswer)
  assert.equal(textOf(encoded('\ufeff\u00fc "1"')), '\ufeff\u00fc "1"')
  const { text, major, minor } = readVersion({ etcdserver: '3.6.1', etcdcluster: 'not_decided' })
  assert.deepEqual({ text, major, minor }, { text: '3.6.1', major: 3, minor: 6 })
})

test('a stream may fail after it has begun', () => {
  const line = '{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}'
  assert.throws(
    () => readMessages(200, 'application/json', line),
    (error) => error instanceof EtcdRefusal && error.status === 503 && !error.isFinal,
  )
})
