/** Routes by which others read the archive of a node. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import Fastify, { type FastifyRequest } from 'fastify'
import {
  type ArchiveAsker,
  type ArchiveObjects,
  MAX_RANGE_BYTES,
  NOTE_PATH,
  OBJECT_BYTES_HEADER,
  OBJECT_PATH,
  OBJECTS_PATH,
} from '../../src/api/archiveObjects.ts'
import { HeldListings } from '../../src/backup/heldListings.ts'
import { ServedArchive } from '../../src/backup/servedArchive.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { WalcastError } from '../../src/errors.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { Turns } from '../../src/platform/turns.ts'
import { Deferred } from '../../src/roles/deferred.ts'
import { ArchiveReaders } from '../../src/server/archiveReaders.ts'
import { addArchiveRoutes } from '../../src/server/archiveRoutes.ts'
import { answerErrors } from '../../src/server/refusals.ts'
import { put } from '../support/storeContract.ts'
import { until, within } from '../support/until.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-served-'))
after(() => rmSync(root, { recursive: true, force: true }))

const NOW = 1_700_000_000_000
const FILE = `changes/0/${'0'.repeat(15)}-${'0'.repeat(14)}1-${'a'.repeat(16)}.wca`
const PIN = `pins/${String(NOW + 3_600_000).padStart(15, '0')}-${'b'.repeat(16)}.json`
const POINT = { incarnation: 'a'.repeat(16), txid: 7, namedMs: NOW }

let made = 0
async function site() {
  const folder = join(root, String(++made), 'archive')
  const store = new DirectoryStore(folder, systemFileOps)
  mkdirSync(folder, { recursive: true })
  const listings = new HeldListings()
  const askers: string[] = []
  const app = Fastify()
  const log = { error: assert.fail } as unknown as Parameters<typeof answerErrors>[1]
  answerErrors(app, log)
  const archive = {
    async open(place: number, { reader, by }: ArchiveAsker) {
      askers.push(by)
      if (place !== 1) throw new WalcastError('NODE_ARCHIVE', { node: 'n', detail: 'none' })
      return new ServedArchive(store, () => NOW, listings, reader)
    },
  }
  const record = () => ({ node: 'n' }) as never
  const reads: string[] = []
  const now = { ms: NOW, reader: 'token a' }
  const nowMs = () => now.ms
  const onArchiveRead = (reader: string, place: number) => void reads.push(`${place} ${reader}`)
  const onArchiveBusy = assert.fail
  const placeOf = () => ({ text: now.reader, asker: now.reader, passesOn: false })
  addArchiveRoutes(app, { archive, record, nowMs, onArchiveRead, onArchiveBusy }, placeOf)
  const ask = async (
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    query: Readonly<Record<string, string>>,
    body?: object,
  ) => {
    const payload = body && { payload: body }
    const answer = await app.inject({ method, url: path, query, ...payload })
    const isJson = String(answer.headers['content-type']).startsWith('application/json')
    return { status: answer.statusCode, answer, json: isJson ? answer.json() : undefined }
  }
  return { folder, store, app, ask, reads, now, askers }
}

test('objects are listed in order, and read in ranges', async () => {
  const { store, ask } = await site()
  await put(store, FILE, '0123456789')
  await put(store, 'snapshots/b', '')
  await put(store, 'snapshots/a', 'x')
  const listed = await ask('GET', OBJECTS_PATH, { folder: 'snapshots' })
  assert.deepEqual(listed.json, {
    place: store.name,
    objects: [
      { name: 'snapshots/a', bytes: 1 },
      { name: 'snapshots/b', bytes: 0 },
    ],
    isMore: false,
  })
  const later = await ask('GET', OBJECTS_PATH, { folder: 'snapshots', after: 'snapshots/a' })
  assert.deepEqual(later.json.objects, [{ name: 'snapshots/b', bytes: 0 }])
  for (const [query, text] of [
    [{}, '0123456789'],
    [{ at: '3', bytes: '4' }, '3456'],
    [{ at: '8', bytes: '4' }, '89'],
    [{ at: '10', bytes: '4' }, ''],
    [{ at: '0', bytes: '0' }, ''],
  ] as const) {
    const { status, answer } = await ask('GET', OBJECT_PATH, { name: FILE, ...query })
    assert.deepEqual([status, answer.body], [200, text])
    assert.equal(answer.headers[OBJECT_BYTES_HEADER], '10')
  }
  const empty = await ask('GET', OBJECT_PATH, { name: 'snapshots/b' })
  assert.deepEqual([empty.status, empty.answer.body], [200, ''])
})

test('nothing but objects of the archive is told or read', async () => {
  const { folder, store, ask } = await site()
  await put(store, FILE, '0123456789')
  writeFileSync(join(folder, 'secret'), 'secret')
  writeFileSync(join(folder, '../secret'), 'secret')
  mkdirSync(join(folder, 'own'))
  writeFileSync(join(folder, 'own/secret'), 'secret')
  writeFileSync(join(folder, 'changes/0/.begun-0000000000000000'), 'secret')
  mkdirSync(join(folder, 'changes/1'))
  symlinkSync(join(folder, '../secret'), join(folder, 'changes/1/link'))
  for (const name of [
    ...['', 'secret', '../secret', 'changes/0/../../../secret', 'changes/../secret', '/etc/passwd'],
    ...[
      'own/secret',
      'changes/0/.begun-0000000000000000',
      'changes/0',
      'changes/0/',
      'changes//0/a',
    ],
    ...['changes/0/%2e%2e/a', 'changes\\0\\a', `changes/0/${'a'.repeat(300)}`, 'changes/10/a'],
  ]) {
    const { status, json } = await ask('GET', OBJECT_PATH, { name })
    assert.deepEqual([status, json.code], [400, 'WALCAST_BAD_REQUEST'], name)
  }
  const linked = await ask('GET', OBJECT_PATH, { name: 'changes/1/link' })
  assert.equal(linked.json.code, 'WALCAST_STRANGE_FILE')
  for (const given of ['', '.', '..', 'own', 'changes', 'changes/0/..', 'changes/10', '/etc'])
    assert.equal((await ask('GET', OBJECTS_PATH, { folder: given })).status, 400, given)
  const listed = await ask('GET', OBJECTS_PATH, { folder: 'changes/0' })
  assert.deepEqual(
    listed.json.objects.map(({ name }: { readonly name: string }) => name),
    [FILE],
  )
  const missing = await ask('GET', OBJECT_PATH, { name: 'snapshots/none' })
  assert.deepEqual([missing.status, missing.json.code], [404, 'WALCAST_ARCHIVE_MISSING'])
  const place = await ask('GET', OBJECTS_PATH, { folder: 'points', place: '2' })
  assert.deepEqual([place.status, place.json.code], [404, 'WALCAST_NODE_ARCHIVE'])
})

test('ranges out of bounds are refused', async () => {
  const { store, ask } = await site()
  await put(store, FILE, '0123456789')
  for (const range of [
    { at: '11' },
    { at: '-1' },
    { at: '1.5' },
    { bytes: '-1' },
    { bytes: String(MAX_RANGE_BYTES + 1) },
    { at: '9'.repeat(15) },
    { at: '9'.repeat(30) },
    { bytes: 'all' },
  ] as const) {
    const { status, json } = await ask('GET', OBJECT_PATH, { name: FILE, ...range })
    assert.deepEqual([status, json.code], [400, 'WALCAST_BAD_REQUEST'], JSON.stringify(range))
  }
})

test('pins and names of positions are written and removed, and nothing else', async () => {
  const { store, ask } = await site()
  const write = async (name: string, body: object) =>
    (await ask('POST', NOTE_PATH, { name }, body)).json
  assert.deepEqual(await write(PIN, { files: [FILE] }), { isNew: true })
  assert.deepEqual(await write(PIN, { files: [FILE] }), { isNew: false })
  assert.deepEqual(await write('points/before.json', POINT), { isNew: true })
  const far = `pins/${String(NOW + 40 * 86_400_000).padStart(15, '0')}-${'b'.repeat(16)}.json`
  for (const [name, body] of [
    [PIN, { files: ['../a'] }],
    [PIN, { files: [FILE], more: 1 }],
    [PIN, { files: FILE }],
    [PIN, {}],
    [far, { files: [FILE] }],
    ['pins/a.json', { files: [FILE] }],
    ['pins/../snapshots/a', { files: [FILE] }],
    ['points/.a.json', POINT],
    ['points/a/b.json', POINT],
    ['points/a', POINT],
    ['points/a.json', { ...POINT, more: 1 }],
    ['points/a.json', { ...POINT, txid: -1 }],
    [FILE, { files: [FILE] }],
    ['removals/a.json', { files: [FILE] }],
  ] as const)
    assert.equal((await write(name, body)).code, 'WALCAST_BAD_REQUEST', name)
  assert.match((await write(far, { files: [FILE] })).message, /clock .* more than a day/)
  for (const name of [FILE, 'removals/a', 'points/../a', ''])
    assert.equal((await ask('DELETE', NOTE_PATH, { name })).status, 400, name)
  await put(store, FILE, 'x')
  assert.equal((await ask('DELETE', NOTE_PATH, { name: PIN })).status, 200)
  assert.equal((await ask('DELETE', NOTE_PATH, { name: PIN })).status, 200)
  assert.deepEqual(await store.list('pins'), [])
  assert.equal((await store.list('points')).length, 1)
  assert.equal((await store.list('changes/0')).length, 1)
})

test('the archive is opened for who asks, by the name it gives itself and its place', async () => {
  const { ask, askers } = await site()
  await ask('DELETE', NOTE_PATH, { name: PIN, by: 'ada@host' })
  await ask('DELETE', NOTE_PATH, { name: PIN })
  assert.deepEqual(askers, ['ada@host (token a)', 'an operator (token a)'])
})

test('a web page gets nothing', async () => {
  const { app } = await site()
  for (const url of [OBJECTS_PATH, OBJECT_PATH]) {
    const answer = await app.inject({ url, headers: { origin: 'http://localhost' } })
    assert.equal(answer.json().code, 'WALCAST_FOREIGN_PAGE')
  }
})

test('so many requests are answered at once, others wait, and some are refused', async () => {
  const turns = new Turns(2, 1)
  const [one, two] = await Promise.all([turns.take(), turns.take()])
  const order: string[] = []
  const waiting = turns.take().then((leave) => {
    order.push('third')
    return leave
  })
  assert.equal(await turns.take(), undefined)
  order.push('refused')
  one?.()
  one?.()
  const three = await waiting
  assert.deepEqual(order, ['refused', 'third'])
  const late = new Deferred<void>()
  void turns.take().then(() => late.resolve())
  two?.()
  await late.promise
  three?.()
  assert.ok(await turns.take())
})

test('who reads files is told of once an hour, and who only lists them is not', async () => {
  const { store, ask, reads, now } = await site()
  await put(store, FILE, '0123456789')
  await ask('GET', OBJECTS_PATH, { folder: 'changes/0' })
  await ask('GET', OBJECT_PATH, { name: 'changes/0/none.wca' })
  assert.deepEqual(reads, [])
  const read = () => ask('GET', OBJECT_PATH, { name: FILE })
  await read()
  await read()
  now.reader = 'token b'
  await read()
  assert.deepEqual(reads, ['1 token a', '1 token b'])
  now.ms += 3_600_000
  await read()
  assert.equal(reads.length, 3)
})

test('the readers that are remembered are bounded', () => {
  let told = 0
  const readers = new ArchiveReaders(
    () => NOW,
    () => told++,
  )
  for (let i = 0; i < 1500; i++) readers.onRead(`token ${i}`, 1)
  readers.onRead('token 1499', 1)
  assert.equal(told, 1500)
  readers.onRead('token 0', 1)
  assert.equal(told, 1501)
})

test('a request past those that wait is refused, and counted', async () => {
  const app = Fastify()
  answerErrors(app, { error: assert.fail } as unknown as Parameters<typeof answerErrors>[1])
  const opened = new Deferred<void>()
  let refused = 0
  const archive = {
    async open(): Promise<never> {
      await opened.promise
      throw new WalcastError('NODE_ARCHIVE', { node: 'n', detail: 'none' })
    },
  }
  const parts = { archive, record: () => ({ node: 'n' }) as never, nowMs: () => NOW }
  const onArchiveBusy = () => void refused++
  const placeOf = ({ headers }: FastifyRequest) => {
    const asker = String(headers['asker'])
    return { text: asker, asker, passesOn: false }
  }
  addArchiveRoutes(app, { ...parts, onArchiveRead: assert.fail, onArchiveBusy }, placeOf)
  const ask = (asker: string) =>
    app.inject({ url: OBJECT_PATH, headers: { asker } }).then((answer) => answer.json().code)
  const asked = Array.from({ length: 4 + 128 }, () => ask('0'))
  assert.equal(await ask('0'), 'WALCAST_NODE_ARCHIVE_BUSY', 'one asker has its share')
  // The next one has turns at once. Others fill what is left.
  for (let i = 4 + 128; i < 8 + 256; i++) asked.push(ask(String(1 + Math.floor((i - 132) / 100))))
  assert.equal(await ask('other'), 'WALCAST_NODE_ARCHIVE_BUSY')
  assert.equal(refused, 2)
  opened.resolve()
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(['WALCAST_NODE_ARCHIVE']))
})

/** Answers over real connections, each of which must be taken within 50 ms. */
async function listening(t: TestContext, notes = new Deferred<void>()) {
  const app = Fastify({ forceCloseConnections: true })
  answerErrors(app, { error: assert.fail } as unknown as Parameters<typeof answerErrors>[1])
  const objects = {
    read: async () => ({ bytes: Buffer.alloc(LARGE_BYTES), objectBytes: LARGE_BYTES }),
    list: async () => ({ place: 'a', objects: [], isMore: false }),
    writeNote: () => notes.promise.then(() => true),
  }
  const parts = {
    ...{ archive: { open: async () => objects as never }, record: () => ({ node: 'n' }) as never },
    ...{ nowMs: () => NOW, onArchiveRead() {}, onArchiveBusy() {} },
  }
  addArchiveRoutes(app, parts, () => ({ text: 'a', asker: 'a', passesOn: false }), 50)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const send = (head: string, body = '') => {
    const socket = connect(port, '127.0.0.1')
    socket.write(`${head} HTTP/1.1\r\nHost: a\r\n${body}`)
    return socket
  }
  return { send, url: `http://127.0.0.1:${port}` }
}

/** More than what the system takes for a reader that does not read. */
const LARGE_BYTES = 32 * 1024 ** 2

test('readers that do not take their answers lose their turns', async (t) => {
  const { send, url } = await listening(t)
  const slow = Array.from({ length: 8 }, () => send(`GET ${OBJECT_PATH}`, '\r\n').pause())
  const answer = await within('a turn is free', fetch(`${url}${OBJECTS_PATH}`))
  assert.equal(answer.status, 200)
  for (const socket of slow) socket.destroy()
})

test('few notes are taken at once, and the bodies of others are not read', async (t) => {
  const notes = new Deferred<void>()
  const { send, url } = await listening(t, notes)
  const head = `POST ${NOTE_PATH}`
  const begun = 'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{'
  const sockets = Array.from({ length: 18 }, () => send(head, begun))
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
  const asked = () =>
    fetch(`${url}${NOTE_PATH}`, post).then(async (answer) => Object(await answer.json()))
  const codes = new Set<string>()
  await until('one more is refused', () => {
    void asked().then(({ code }) => codes.add(code))
    return codes.has('WALCAST_NODE_ARCHIVE_BUSY')
  })
  for (const socket of sockets) socket.destroy()
  notes.resolve()
  await until('turns are free', async () => (await asked()).isNew)
})

test('who leaves gives up its turn only when what it asked for is done', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  answerErrors(app, { error: assert.fail } as unknown as Parameters<typeof answerErrors>[1])
  const removing = new Deferred<void>()
  let begun = 0
  const objects = {
    removeNote: () => {
      begun++
      return removing.promise
    },
  }
  const archive = { open: async () => objects as unknown as ArchiveObjects }
  const parts = { archive, record: () => ({ node: 'n' }) as never, nowMs: () => NOW }
  const told = { onArchiveRead: assert.fail, onArchiveBusy: assert.fail }
  let arrived = 0
  app.addHook('onRequest', async () => void arrived++)
  // Two who ask have all turns.
  const placeOf = () => ({ text: 'a', asker: String(arrived % 2), passesOn: false })
  addArchiveRoutes(app, { ...parts, ...told }, placeOf)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const asked = { port, host: '127.0.0.1', path: NOTE_PATH, method: 'DELETE' }
  let left = 0
  app.server.on('request', (_, response) => response.once('close', () => left++))
  const leavers = Array.from({ length: 8 }, () => request(asked).on('error', () => {}))
  for (const leaver of leavers) leaver.end()
  await until('they have their turns', () => begun === 8)
  for (const leaver of leavers) leaver.destroy()
  await until('they have left', () => left === 8)
  const last = app.inject({ method: 'DELETE', url: NOTE_PATH })
  await until('it has come', () => arrived === 9)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(begun, 8, 'all turns are taken')
  removing.resolve()
  assert.equal((await last).statusCode, 200)
  assert.equal(begun, 9)
})
