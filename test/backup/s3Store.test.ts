/** An archive in an S3 store: the contract of a store, and what is left of it when things fail. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { formatArchiveName, parseArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import { restore } from '../../src/backup/restore.ts'
import { planRestore } from '../../src/backup/restorePlan.ts'
import { S3_LIMITS, type S3Limits } from '../../src/backup/stores/s3/client.ts'
import { S3Store } from '../../src/backup/stores/s3Store.ts'
import { WalcastError } from '../../src/errors.ts'
import { isPlain } from '../../src/plainText.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { statesOf, storeArchive, TWO } from '../support/archives.ts'
import { rawServer } from '../support/rawServer.ts'
import {
  type Fault,
  type S3Behaviour,
  type S3Exchange,
  type S3Server,
  s3Server,
  TEST_ENVIRONMENT,
  TEST_KEYS,
} from '../support/s3Server.ts'
import { bytesIn, isCode, put, storeContract } from '../support/storeContract.ts'

const PART = 1000
/** Fast, and with small parts. */
const LIMITS: S3Limits = {
  ...S3_LIMITS,
  minPauseMs: 1,
  maxPauseMs: 5,
  partBytes: PART,
  listPages: 20,
}
const PREFIX = 'db'
const PROBE = `${PREFIX}/.walcast-conditional-writes`

const storeAt = (
  { endpoint, bucket }: S3Server,
  { limits = LIMITS, environment = TEST_ENVIRONMENT as NodeJS.ProcessEnv, prefix = PREFIX } = {},
) => new S3Store(`s3://${bucket}/${prefix}?endpoint=${endpoint}`, environment, limits)

async function stand(t: TestContext, given: Partial<S3Behaviour> = {}) {
  const server = await s3Server(t, given)
  return { server, store: storeAt(server) }
}

/** This fault for the first `times` requests that are meant. */
function faultOf(
  fault: Fault,
  isMeant: (exchange: S3Exchange) => boolean,
  times = 1,
): S3Behaviour['fault'] {
  let left = times
  return (exchange) => (isMeant(exchange) && left-- > 0 ? fault : undefined)
}

const isOf = (method: string, key: string) => (exchange: S3Exchange) =>
  exchange.method === method && exchange.key === key
const isPut = isOf('PUT', 'db/a')
const isJoin = ({ method, query }: S3Exchange) => method === 'POST' && query.has('uploadId')
const isPart = ({ method, query }: S3Exchange) => method === 'PUT' && query.has('partNumber')

/** Servers of the contract tests. */
const ended: (() => void)[] = []
after(() => {
  for (const end of ended) end()
})
const ending = { after: (end: () => void) => void ended.push(end) }

for (const conditional of ['honoured', 'ignored', 'refused', 'parts refused'] as const)
  storeContract(
    `S3 with conditional writes ${conditional}`,
    async () => storeAt(await s3Server(ending, { conditional })),
    { isExclusive: /honoured|parts/.test(conditional), largeBytes: 10 * PART + 1 },
  )

storeContract(
  'S3 with keys that may list a prefix only',
  async () => storeAt(await s3Server(ending, { conditional: 'ignored', hidesMissing: true })),
  { isExclusive: false, largeBytes: 2 * PART },
)

for (const prefix of ['', "ünï/日本 $&+,;=@!'()*~", 'a%20b', 'a/b.c/..d'])
  storeContract(
    `S3 below "${prefix}"`,
    async () => storeAt(await s3Server(ending), { prefix: encodeURI(prefix) }),
    { isExclusive: true, largeBytes: 2 * PART },
  )

test('a small object is one request, and lists come in pages', async (t) => {
  const { server, store } = await stand(t, { pageSize: 3 })
  for (let i = 0; i < 10; i++) assert.equal(await put(store, `changes/0/${i}`, 'x'), true)
  const puts = server.log.filter((line) => !line.includes('.walcast-'))
  assert.deepEqual(
    puts,
    Array.from({ length: 10 }, (_, i) => `PUT db/changes/0/${i}`),
  )
  assert.equal(server.log.length, 12, 'and two for the probe')
  const { headers } = server.exchanges[server.exchanges.length - 1]
  assert.equal(headers['content-length'], '1')
  assert.equal(headers['transfer-encoding'], undefined)
  server.objects.set('db/changes/0/.hidden', { body: Buffer.from(''), etag: '""', writer: '' })
  server.objects.set('db/changes/0/not ours', { body: Buffer.from(''), etag: '""', writer: '' })
  assert.equal((await store.list('changes/0')).length, 10)
  assert.equal(server.log.filter((line) => line.startsWith('GET')).length, 4)
  const next = storeAt(server)
  await put(next, 'b', 'x')
  assert.deepEqual(server.log.slice(-2), [`PUT ${PROBE}`, 'PUT db/b'], 'the probe is there')
})

test('an archive is written to S3 and restored from it by ranges', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-s3-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  let number = 0
  const { server, store } = await stand(t, {
    pageSize: 2,
    // Each fourth request fails in one way or another.
    fault: () =>
      ++number % 4 ? undefined : (['cut', 'half an answer', { status: 503 }] as const)[number % 3],
  })
  const pageSize = 4096
  const states = statesOf(join(folder, 'source.db'), pageSize)
  await storeArchive(store, states, pageSize)
  const listed = [...(await store.list('snapshots')), ...(await store.list('changes/0'))]
  const files = listed.flatMap(({ name, bytes }) => {
    const parsed = parseArchiveName(name)
    return parsed ? [{ name: parsed, bytes }] : []
  })
  assert.equal(files.length, 3)
  const last = states[states.length - 1]
  const target = { incarnation: TWO, txid: last.txid }
  const plan = planRestore(files, target)
  assert.ok(plan)
  const opens = [...plan.snapshot, ...plan.changes].map(({ name }) => async () => {
    return ArchiveFile.open(await store.open(formatArchiveName(name)))
  })
  const path = join(folder, 'restored.db')
  await restore(path, opens, target, systemFileOps)
  assert.ok(readFileSync(path).equals(last.bytes))
  assert.ok(server.exchanges.some(({ headers }) => headers.range))
})

const PASSING: readonly Fault[] = [
  'cut',
  'lost answer',
  'half an answer',
  'failed though done',
  { status: 500, code: 'InternalError' },
  { status: 503, code: 'SlowDown' },
  { status: 503, body: 'no XML' },
  { status: 429 },
]

for (const fault of PASSING)
  test(`each request survives ${JSON.stringify(fault)}, and tells the truth`, async (t) => {
    const { server, store } = await stand(t)
    const large = Buffer.alloc(3 * PART, 'x')
    const failed = new Set<string>()
    // Each request fails twice before it is let through.
    server.behaviour.fault = ({ method, key, query }) => {
      for (const round of [1, 2]) {
        const what = `${round} ${method} ${key} ${query}`
        if (failed.has(what)) continue
        failed.add(what)
        return fault
      }
      return undefined
    }
    assert.equal(await put(store, 'x/a', 'text'), true)
    assert.equal(await put(store, 'x/b', large), true)
    server.behaviour.fault = () => undefined
    assert.equal(await put(store, 'x/a', 'other'), false)
    server.behaviour.fault = faultOf(fault, () => true, 3)
    assert.equal(await put(store, 'x/b', large), false)
    assert.ok((await bytesIn(store, 'x/b')).equals(large))
    assert.equal((await bytesIn(store, 'x/a')).toString(), 'text')
    assert.equal((await store.list('x')).length, 2)
    await store.remove('x/a')
    assert.equal(server.objects.has('db/x/a'), false)
  })

test('a request that S3 says to make again is made again, whatever its status', async (t) => {
  const { server, store } = await stand(t)
  for (const fault of [
    { status: 400, code: 'RequestTimeout' },
    { status: 409, code: 'ConditionalRequestConflict' },
  ]) {
    server.objects.delete('db/a')
    server.behaviour.fault = faultOf(fault, isPut, 3)
    assert.equal(await put(store, 'a', 'text'), true)
  }
})

test('a request without an answer ends in time, and is made again', async (t) => {
  const { server } = await stand(t)
  const store = storeAt(server, { limits: { ...LIMITS, requestMs: 100 } })
  for (const fault of ['silence', 'done in silence'] as const) {
    server.objects.clear()
    server.behaviour.fault = faultOf(fault, isPut)
    assert.equal(await put(store, 'a', 'text'), true, fault)
    server.behaviour.fault = faultOf(fault, isJoin)
    assert.equal(await put(store, 'b', Buffer.alloc(2 * PART)), true, fault)
    assert.deepEqual([...server.uploads], [])
  }
})

test('a write whose answer was lost is told apart from that of another writer', async (t) => {
  const { server, store } = await stand(t)
  const overtaken = (isMeant: (exchange: S3Exchange) => boolean): S3Behaviour['fault'] => {
    const cut = faultOf('cut', isMeant)
    return (exchange) => {
      const fault = cut(exchange)
      const theirs = { body: Buffer.from('theirs'), etag: '"t"', writer: 'another' }
      if (fault) server.objects.set(exchange.key, theirs)
      return fault
    }
  }
  server.behaviour.fault = overtaken(isPut)
  assert.equal(await put(store, 'a', 'ours'), false)
  server.behaviour.fault = overtaken(isJoin)
  assert.equal(await put(store, 'b', Buffer.alloc(2 * PART)), false)
  for (const name of ['a', 'b']) assert.equal((await bytesIn(store, name)).toString(), 'theirs')
  assert.deepEqual([...server.uploads], [])
})

test('a store that stays away is reported in bounded time, with what was tried', async (t) => {
  const { server, store } = await stand(t, { fault: () => ({ status: 503, code: 'SlowDown' }) })
  await assert.rejects(store.list('x'), (error) => {
    assert.ok(error instanceof WalcastError)
    assert.equal(error.key, 'STORE_UNREACHABLE')
    assert.match(error.message, /list x: 503 SlowDown \(8 attempts\)$/)
    return true
  })
  assert.equal(server.log.length, LIMITS.attempts)
  const short = storeAt(server, { limits: { ...LIMITS, totalMs: 0 } })
  await assert.rejects(short.list('x'), isCode('STORE_UNREACHABLE'))
  assert.equal(server.log.length, LIMITS.attempts + 1)
  const nobody = new S3Store('s3://archives?endpoint=http://127.0.0.1:1', TEST_ENVIRONMENT, LIMITS)
  await assert.rejects(nobody.list('x'), /ECONNREFUSED.*\(8 attempts\)/)
})

test('a refusal is final, and says what to do', async (t) => {
  const { server, store } = await stand(t)
  const refusal = async (run: Promise<unknown>, what: RegExp, cure: RegExp) => {
    const before = server.log.length
    await assert.rejects(run, (error) => {
      assert.ok(error instanceof WalcastError && error.key === 'STORE_REFUSED', String(error))
      assert.match(error.message, what)
      assert.match(error.cure, cure)
      assert.ok(isPlain(error.line) && !error.line.includes('told'), error.line)
      return true
    })
    assert.equal(server.log.length, before + 1)
  }
  const other = (extra: NodeJS.ProcessEnv) =>
    storeAt(server, { environment: { ...TEST_ENVIRONMENT, ...extra } })
  const wrongSecret = other({ AWS_SECRET_ACCESS_KEY: 'x' })
  await refusal(wrongSecret.list('x'), /list x: 403 SignatureDoesNotMatch/, /AWS_SECRET/)
  await refusal(other({ AWS_ACCESS_KEY_ID: 'x' }).list('x'), /InvalidAccessKeyId/, /AWS_ACCESS/)
  await refusal(other({ AWS_SESSION_TOKEN: 'x' }).list('x'), /InvalidToken/, /AWS_SESSION_TOKEN/)
  await refusal(other({ AWS_REGION: 'x' }).list('x'), /400/, /region=eu-test-1/)
  const nowhere = new S3Store(`s3://nowhere?endpoint=${server.endpoint}`, TEST_ENVIRONMENT, LIMITS)
  await refusal(nowhere.list('x'), /404 NoSuchBucket/, /create the bucket/)
  await refusal(nowhere.remove('x'), /404 NoSuchBucket/, /create the bucket/)
  server.behaviour.fault = () => ({ status: 403, code: 'AccessDenied' })
  await refusal(store.list('x'), /list x: 403 AccessDenied/, /rights that docs\/backup\/s3.md/)
  await refusal(put(store, 'a', 'x'), /write a probe: 403/, /rights/)
  await assert.rejects(store.open('a'), /open a: 403 AccessDenied/)
  server.behaviour.fault = () => undefined
  await put(store, 'a', 'x')
  server.behaviour.fault = faultOf({ status: 403 }, isOf('HEAD', 'db/a'))
  await assert.rejects(store.open('a'), isCode('STORE_REFUSED'))
  server.behaviour.fault = () => ({ status: 400, code: '<b>\u001b[31m' })
  await refusal(store.list('x'), /list x: 400$/, /bucket, region and endpoint/)
  server.behaviour.fault = () => ({
    status: 301,
    code: 'PermanentRedirect',
    headers: { 'x-amz-bucket-region': 'eu-test-9' },
  })
  await refusal(store.list('x'), /301 PermanentRedirect/, /region=eu-test-9/)
})

test('what is no S3 store is told apart from one that is away', async (t) => {
  const { server } = await stand(t)
  const secure = server.endpoint.replace('http:', 'https:')
  const plain = new S3Store(`s3://archives?endpoint=${secure}`, TEST_ENVIRONMENT, LIMITS)
  await assert.rejects(plain.list('x'), /list x: the endpoint speaks no TLS$/)
  const chatter = await rawServer(t, (_, socket) => socket.end('220 mail.example.org ESMTP\r\n'))
  const mail = new S3Store(
    `s3://archives?endpoint=http://${chatter.address}`,
    TEST_ENVIRONMENT,
    LIMITS,
  )
  await assert.rejects(mail.list('x'), isCode('STORE_BROKEN'))
  assert.ok(chatter.received.length <= LIMITS.attempts)
})

test('an answer that trickles without an end is cut off', async (t) => {
  const trickle = await rawServer(t, (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    const timer = setInterval(() => socket.write('1\r\n \r\n'), 5)
    socket.on('close', () => clearInterval(timer))
  })
  const place = `s3://archives?endpoint=http://${trickle.address}`
  const store = new S3Store(place, TEST_ENVIRONMENT, { ...LIMITS, requestMs: 60, attempts: 2 })
  await assert.rejects(store.list('x'), /no whole answer in time \(2 attempts\)/)
})

test('a redirect is not followed, with or without keys', async (t) => {
  const other = await s3Server(t)
  for (const status of [301, 302, 303, 307, 308]) {
    const { store } = await stand(t, {
      fault: () => ({ status, headers: { location: `${other.endpoint}/archives/db/a` } }),
    })
    await assert.rejects(store.open('a'), isCode('STORE_REFUSED'))
    await assert.rejects(put(store, 'a', 'x'), isCode('STORE_REFUSED'))
  }
  assert.deepEqual(other.log, [])
})

test('the clock of the store is followed within a day', async (t) => {
  const { server, store } = await stand(t, { skewMs: 3 * 3600_000 })
  assert.equal(await put(store, 'a', 'x'), true)
  assert.equal(server.log.length, 4, 'one request is made twice')
  server.behaviour.skewMs = -3600_000
  await store.open('a')
  server.behaviour.skewMs = 40 * 86_400_000
  await assert.rejects(store.list('x'), (error) => {
    assert.ok(error instanceof WalcastError)
    return error.key === 'STORE_REFUSED' && /clock/.test(error.cure)
  })
})

test('a failed write of parts leaves no parts, and so does a writer that fails', async (t) => {
  const { server, store } = await stand(t)
  server.behaviour.fault = faultOf({ status: 403, code: 'AccessDenied' }, isPart)
  await assert.rejects(put(store, 'a', Buffer.alloc(3 * PART)), isCode('STORE_REFUSED'))
  server.behaviour.fault = faultOf(
    { status: 200, body: '<Error><Code>InvalidPart</Code></Error>' },
    isJoin,
  )
  await assert.rejects(put(store, 'a', Buffer.alloc(3 * PART)), isCode('STORE_REFUSED'))
  // What swallows the failure of a piece does not make an object without it.
  server.behaviour.fault = faultOf({ status: 403, code: 'AccessDenied' }, isPart)
  const deaf = store.create('a', async (append) => {
    for (let i = 0; i < 4; i++) await append(Buffer.alloc(PART)).catch(() => {})
  })
  await assert.rejects(deaf, isCode('STORE_REFUSED'))
  assert.deepEqual([...server.objects.keys()], [PROBE])
  assert.deepEqual([...server.uploads], [])
})

test('an answer 200 that names a failure is one, and is asked again if it may pass', async (t) => {
  const { server, store } = await stand(t)
  const body = '\n<?xml version="1.0"?><Error><Code>InternalError</Code></Error>'
  server.behaviour.fault = faultOf({ status: 200, body }, isJoin, 2)
  assert.equal(await put(store, 'a', Buffer.alloc(3 * PART)), true)
  assert.equal(server.objects.get('db/a')?.body.length, 3 * PART)
})

test('a store that keeps half of a part is found out', async (t) => {
  const { server, store } = await stand(t)
  server.behaviour.fault = faultOf('half stored', isPart)
  await assert.rejects(put(store, 'a', Buffer.alloc(3 * PART)), isCode('STORE_BROKEN'))
  assert.equal(server.objects.has('db/a'), false)
})

test('a large object that is there is not sent again', async (t) => {
  const { server, store } = await stand(t)
  await put(store, 'a', 'first')
  assert.equal(await put(store, 'a', Buffer.alloc(9 * PART)), false)
  assert.ok(!server.log.some((line) => line.includes('upload') && line.includes('db/a')))
})

test('uploads that died are ended after a day, those of others are left', async (t) => {
  const { server, store } = await stand(t)
  const begin = (id: string, key: string, ageMs: number) =>
    server.uploads.set(id, { key, writer: '', begunMs: Date.now() - ageMs, parts: new Map() })
  const day = 86_400_000
  begin('old', 'db/changes/0/a.wca', day + 60_000)
  begin('young', 'db/changes/0/b.wca', day - 60_000)
  begin('strange', 'db/not ours', 9 * day)
  begin('outside', 'db2/a.wca', 9 * day)
  assert.equal(await put(store, 'small', 'x'), true)
  assert.equal(server.uploads.size, 4)
  assert.equal(await put(store, 'a', Buffer.alloc(2 * PART)), true)
  assert.deepEqual([...server.uploads.keys()], ['young', 'strange', 'outside'])
  const denied = storeAt(server)
  server.behaviour.fault = faultOf({ status: 403 }, ({ query }) => query.has('uploads'))
  assert.equal(await put(denied, 'b', Buffer.alloc(2 * PART)), true)
})

test('an object that is replaced or removed under a reader is noticed', async (t) => {
  for (const matches of [true, false]) {
    const { server, store } = await stand(t, { matches })
    await put(store, 'a', 'first')
    const object = await store.open('a')
    assert.equal((await object.read(1, 2)).toString(), 'ir')
    server.objects.set('db/a', { body: Buffer.from('other'), etag: '"other"', writer: '' })
    await assert.rejects(object.read(1, 2), isCode('ARCHIVE_BROKEN'))
    server.objects.set('db/a', { body: Buffer.from('x'), etag: '"other"', writer: '' })
    await assert.rejects(object.read(1, 2), isCode('ARCHIVE_BROKEN'))
    server.objects.delete('db/a')
    await assert.rejects(object.read(1, 2), isCode('ARCHIVE_MISSING'))
  }
})

test('a list that lags behind leads to no second object of a name', async (t) => {
  const { server, store } = await stand(t)
  server.behaviour.unlisted.add('db/x/a')
  assert.equal(await put(store, 'x/a', 'first'), true)
  assert.deepEqual(await store.list('x'), [])
  assert.equal(await put(store, 'x/a', 'second'), false)
  assert.equal((await bytesIn(store, 'x/a')).toString(), 'first')
})

const pageOf = (inside: string) => `<ListBucketResult>${inside}</ListBucketResult>`
const itemOf = (key: string, size: string) =>
  pageOf(`<Contents><Key>${key}</Key><Size>${size}</Size></Contents>`)
const goesOn = (token: string) =>
  pageOf(`<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>`)

/** Answers of a list that are none. */
const NO_LISTS: Readonly<Record<string, Exclude<Fault, string>>> = {
  empty: { status: 200 },
  'no XML': { status: 200, body: 'hello' },
  'a page of a proxy': { status: 200, body: '<!DOCTYPE html><html></html>' },
  'cut off': { status: 200, body: '<ListBucketResult><IsTruncated>false' },
  'another element': { status: 200, body: '<Owner><IsTruncated>false</IsTruncated></Owner>' },
  'an entity': {
    status: 200,
    body: '<!DOCTYPE a [<!ENTITY b "x">]><ListBucketResult>&b;</ListBucketResult>',
  },
  'too deep': { status: 200, body: '<a>'.repeat(100_000) },
  'too many elements': {
    status: 200,
    body: `<ListBucketResult>${'<a/>'.repeat(50_000)}</ListBucketResult>`,
  },
  'too long': { status: 200, body: pageOf('') + ' '.repeat(9 * 1024 ** 2) },
  'no size': { status: 200, body: itemOf('db/x/a', '-1') },
  'a key outside': { status: 200, body: itemOf('other/x/a', '1') },
  'no way on': { status: 200, body: pageOf('<IsTruncated>true</IsTruncated>') },
  'a circle': { status: 200, body: goesOn('a') },
  packed: { status: 200, body: 'x', headers: { 'content-encoding': 'gzip' } },
}

for (const [what, fault] of Object.entries(NO_LISTS))
  test(`a list that is ${what} is no list`, async (t) => {
    const { server, store } = await stand(t, { fault: () => fault })
    await assert.rejects(store.list('x'), isCode('STORE_BROKEN'))
    assert.ok(server.log.length <= 2)
  })

test('a store that looks over the delimiter lists no folders below', async (t) => {
  const { store } = await stand(t, {
    fault: () => ({ status: 200, body: itemOf('db/x/1/a', '1') }),
  })
  assert.deepEqual(await store.list('x'), [])
})

test('a list without an end ends', async (t) => {
  let page = 0
  const { store } = await stand(t, {
    fault: () => ({ status: 200, body: goesOn(String(++page)) }),
  })
  await assert.rejects(store.list('x'), isCode('STORE_BROKEN'))
  assert.equal(page, LIMITS.listPages)
})

test('bytes that were not asked for are not read as if they were', async (t) => {
  const { server, store } = await stand(t)
  await put(store, 'a', Buffer.alloc(100, 'a'))
  const etag = server.objects.get('db/a')?.etag ?? ''
  const object = await store.open('a')
  const right = { 'content-range': 'bytes 10-19/100', etag }
  for (const [what, fault] of Object.entries<Exclude<Fault, string>>({
    'the whole object': { status: 200, body: Buffer.alloc(100), headers: { etag } },
    'the first bytes': { status: 200, body: Buffer.alloc(10), headers: { etag } },
    'another range': {
      status: 206,
      body: Buffer.alloc(10),
      headers: { ...right, 'content-range': 'bytes 0-9/100' },
    },
    'of another length': {
      status: 206,
      body: Buffer.alloc(10),
      headers: { ...right, 'content-range': 'bytes 10-19/50' },
    },
    'too few': { status: 206, body: Buffer.alloc(9), headers: right },
    'too many': { status: 206, body: Buffer.alloc(11), headers: right },
    packed: {
      status: 206,
      body: Buffer.alloc(10),
      headers: { ...right, 'content-encoding': 'gzip' },
    },
  })) {
    server.behaviour.fault = () => fault
    await assert.rejects(object.read(10, 10), isCode('STORE_BROKEN'), what)
  }
  server.behaviour.fault = () => ({ status: 200, headers: { etag: 'none' } })
  await assert.rejects(store.open('a'), isCode('STORE_BROKEN'))
})

test('keys that were replaced in the file are taken up, and never shown', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-s3-keys-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'credentials')
  const write = (secret: string) =>
    writeFileSync(
      path,
      `[default]\naws_access_key_id = ${TEST_KEYS.accessKeyId}\naws_secret_access_key=${secret}\n`,
      { mode: 0o600 },
    )
  write('old-secret')
  const server = await s3Server(t)
  const environment = { AWS_SHARED_CREDENTIALS_FILE: path, AWS_REGION: TEST_KEYS.region }
  const store = storeAt(server, { environment })
  await assert.rejects(store.list('x'), (error) => {
    assert.ok(error instanceof WalcastError)
    const { stack, line } = error
    assert.doesNotMatch(`${stack}${line}${JSON.stringify(error)}`, /old-secret/)
    return error.key === 'STORE_REFUSED'
  })
  write(TEST_KEYS.secretAccessKey)
  assert.deepEqual(await store.list('x'), [])
})
