/** Restores that are asked of a node: one at a time, ended in order, and nothing left of them. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import type { RestoreResult } from '../../../src/api/past.ts'
import { PastAskers } from '../../../src/backup/past/pastAskers.ts'
import { DOWNLOAD } from '../../../src/backup/past/pastOrder.ts'
import { PastRestores, type RestoreAbout } from '../../../src/backup/past/pastRestores.ts'
import { keyOf, WalcastError } from '../../../src/errors.ts'
import { Deferred } from '../../../src/roles/deferred.ts'
import { until } from '../../support/until.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-restores-'))
after(() => rmSync(root, { recursive: true, force: true }))

const RESULT: RestoreResult = {
  position: '1-7',
  incarnation: 'a'.repeat(16),
  at: '2026-11-30T06:00:00.000Z',
  checksum: 'b'.repeat(16),
  databaseBytes: 6,
  integrityCheck: 'ok',
  tookMs: 1,
}
const isError = (key: string) => (error: unknown) => keyOf(error) === key

let made = 0
function site(readyMs = 60_000, lifeMs = 60_000) {
  const workFolder = join(root, String(++made), 'work')
  mkdirSync(workFolder, { recursive: true })
  writeFileSync(join(workFolder, 'left'), 'of a crash')
  const left: unknown[] = []
  const onLeft = (error: unknown) => left.push(error)
  const restores = new PastRestores({ workFolder, node: () => 'n', readyMs, lifeMs, onLeft })
  const about = (kind: 'file' | 'download', reader = 'me'): RestoreAbout => ({
    ...{ kind, reader, place: '/archive', position: 'newest', by: 'me', file: 'f' },
    nameOf: (position) => `app-${position}.db`,
  })
  let result = new Deferred<RestoreResult>()
  let folder = ''
  const run = (signal: AbortSignal, _onNews: unknown, into: string) => {
    folder = into
    result = new Deferred<RestoreResult>()
    signal.addEventListener('abort', () => result.reject(new WalcastError('STOPPING')))
    return result.promise
  }
  const finish = () => {
    writeFileSync(join(folder, DOWNLOAD), 'abcdef')
    result.resolve(RESULT)
  }
  const fail = (error: unknown) => result.reject(error)
  const reached = (state: string) => until(state, () => restores.report()?.state === state)
  const give = () => result.resolve(RESULT)
  return { restores, workFolder, about, run, finish, give, fail, reached, left }
}

test('a disk that lets nothing be removed ends no node, and no restore but the next', async () => {
  const { restores, workFolder, about, run, give, reached, left } = site()
  const { id } = restores.begin(about('file'), run)
  // No folder any more: what is below it can neither be found nor removed.
  const folder = dirname(workFolder)
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'a file')
  give()
  await reached('done')
  assert.equal(left.length, 1)
  assert.throws(() => restores.begin(about('file'), run), { code: 'ENOTDIR' })
  assert.equal(restores.report()?.id, id)
})

test('a file is sent whole once, and is gone then', async () => {
  const { restores, workFolder, about, run, finish, reached } = site()
  assert.equal(existsSync(workFolder), false, 'what a crash left is removed')
  const { id } = restores.begin(about('download'), run)
  await assert.rejects(restores.download(id), isError('PAST_RESTORE_GONE'))
  assert.throws(() => restores.begin(about('file'), run), isError('PAST_BUSY'))
  finish()
  await reached('ready')
  assert.equal(restores.report()?.file, 'app-1-7.db')
  const first = await restores.download(id)
  await assert.rejects(restores.download(id), isError('PAST_BUSY'))
  await first.close(false)
  const second = await restores.download(id)
  assert.equal(String(await second.read()), 'abcdef')
  assert.equal(await second.read(), undefined)
  await Promise.all([second.close(true), second.close(false)])
  assert.equal(restores.report()?.state, 'done')
  assert.equal(existsSync(workFolder), false)
  await assert.rejects(restores.download(id), isError('PAST_RESTORE_GONE'))
})

test('a file that is sent slowly holds up no other restore, within a number', async () => {
  const { restores, workFolder, about, run, finish, reached } = site()
  const made = async (reader: string) => {
    const { id } = restores.begin(about('download', reader), run)
    finish()
    await reached('ready')
    return id
  }
  const first = await made('slow')
  const sending = await restores.download(first)
  restores.begin(about('file', 'other'), run)
  finish()
  await reached('done')
  assert.deepEqual(
    restores.report()?.others?.map(({ id, file }) => [id, file]),
    [[first, 'app-1-7.db']],
  )
  const second = await made('slow')
  assert.throws(() => restores.begin(about('download', 'slow'), run), isError('PAST_BUSY'))
  await made('other')
  await made('third')
  assert.throws(() => restores.begin(about('download', 'fourth'), run), isError('PAST_BUSY'))
  assert.equal((await restores.cancel(second)).state, 'cancelled')
  await made('fourth')
  assert.equal(String(await sending.read()), 'abcdef', 'what others do cuts it not off')
  await sending.close(true)
  await assert.rejects(restores.download(first), isError('PAST_RESTORE_GONE'))
  await restores.stop()
  assert.equal(existsSync(workFolder), false)
})

test('a file goes after a while, though it is being sent', async () => {
  const { restores, workFolder, about, run, finish, reached } = site(60_000, 50)
  const { id } = restores.begin(about('download'), run)
  finish()
  await reached('ready')
  const sending = await restores.download(id)
  await reached('expired')
  await assert.rejects(sending.read(), isError('PAST_RESTORE_GONE'))
  await sending.close(false)
  assert.equal(existsSync(workFolder), false)
})

test('one that runs is ended, also by the stop of the node; one that waits too', async () => {
  const running = site()
  const { id } = running.restores.begin(running.about('file'), running.run)
  await assert.rejects(running.restores.cancel('other'), isError('PAST_RESTORE_GONE'))
  assert.equal((await running.restores.cancel(id)).state, 'cancelled')
  assert.equal(existsSync(running.workFolder), false)
  const waiting = site()
  const begun = waiting.restores.begin(waiting.about('download'), waiting.run)
  waiting.finish()
  await waiting.reached('ready')
  const sending = await waiting.restores.download(begun.id)
  await waiting.restores.stop()
  assert.equal(waiting.restores.report()?.state, 'cancelled')
  await assert.rejects(sending.read(), isError('PAST_RESTORE_GONE'))
  await sending.close(true)
  assert.equal(waiting.restores.report()?.state, 'cancelled')
  assert.equal(existsSync(waiting.workFolder), false)
})

test('a file that nobody fetches is removed, and a failure says why', async () => {
  const late = site(1)
  late.restores.begin(late.about('download'), late.run)
  late.finish()
  await late.reached('expired')
  assert.equal(existsSync(late.workFolder), false)
  const failing = site()
  failing.restores.begin(failing.about('file'), failing.run)
  failing.fail(new WalcastError('DISK_FULL', { path: '/x' }))
  await failing.reached('failed')
  const { error, file } = failing.restores.report() ?? {}
  assert.deepEqual([error?.code, file], ['WALCAST_DISK_FULL', 'f'])
})

test('askers are refused past their number, and let in again afterwards', async () => {
  const askers = new PastAskers({ each: 1, all: 2 }, () => 'n')
  const [one, two] = [new Deferred<string>(), new Deferred<string>()]
  const first = askers.run('a', () => one.promise)
  await assert.rejects(
    askers.run('a', async () => 'x'),
    isError('PAST_BUSY'),
  )
  const second = askers.run('b', () => two.promise)
  await assert.rejects(
    askers.run('c', async () => 'x'),
    isError('PAST_BUSY'),
  )
  one.resolve('one')
  two.reject(new Error('two'))
  assert.equal(await first, 'one')
  await assert.rejects(second, /two/)
  assert.equal(await askers.run('a', async () => 'x'), 'x')
})
