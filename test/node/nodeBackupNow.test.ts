/** `backup now` at a node that asks another one: what it believes, and for how many it waits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_BACKUPS_NOW } from '../../src/api/backupNow.ts'
import { type BackupNowParts, NodeBackupNow } from '../../src/node/nodeBackupNow.ts'
import { Deferred } from '../../src/roles/deferred.ts'
import { until } from '../support/until.ts'

const ADDRESS = '10.0.0.2:8470'
const POSITION = { epoch: 3, txid: 9 }
const PLACE = { place: '/archive', position: '3-9', bytes: 5 }
const ANSWER = { node: 'node-b', position: '3-9', places: [PLACE], tookMs: 4 }
const HOW = { isSnapshotWanted: false, position: undefined, timeoutMs: undefined, passes: 2 }

/** `tell`: what the leader answers. */
function siteOf(tell: (signal: AbortSignal) => Promise<unknown>) {
  const view = {
    role: () => 'replica',
    leaderAddress: () => ADDRESS,
    settle: async () => POSITION,
    position: () => POSITION,
  }
  const waits = {
    until: (_position: object, _timeoutMs: number, gone: AbortSignal) =>
      new Promise((_, reject) => gone.addEventListener('abort', () => reject(new Error('gone')))),
  }
  const calls = { tell: (...args: readonly unknown[]) => tell((args[5] as Signalled).signal) }
  const parts = {
    ...{ archiver: undefined, archivist: { holder: undefined }, calls },
    databases: new Map([['main', { view, waits }]]),
  }
  return new NodeBackupNow(parts as unknown as BackupNowParts)
}

interface Signalled {
  readonly signal: AbortSignal
}

const ask = (desk: NodeBackupNow, gone = new AbortController(), more = {}) =>
  desk.now({ ...HOW, ...more }, 'ada', gone.signal)

test('the answer of the node that archives is passed on when it is one', async () => {
  for (const answer of [
    ANSWER,
    { ...ANSWER, places: [] },
    {
      ...ANSWER,
      places: [{ ...PLACE, at: '2026-11-30T00:00:00.000Z', snapshot: 'snapshots/a.wca' }, PLACE],
    },
  ])
    assert.deepEqual(await ask(siteOf(async () => ({ ...answer, more: 1 }))), answer)
})

test('anything else is refused, and the node that answered is named', async () => {
  for (const answer of [
    undefined,
    [],
    {},
    { ...ANSWER, node: 'a\nb' },
    { ...ANSWER, node: 7 },
    { ...ANSWER, position: '3-8' },
    { ...ANSWER, tookMs: -1 },
    { ...ANSWER, places: {} },
    { ...ANSWER, places: [null] },
    { ...ANSWER, places: Array(65).fill(PLACE) },
    { ...ANSWER, places: [{ ...PLACE, place: 'a\u001b[2J' }] },
    { ...ANSWER, places: [{ ...PLACE, place: undefined }] },
    { ...ANSWER, places: [{ ...PLACE, position: 'all' }] },
    { ...ANSWER, places: [{ ...PLACE, bytes: '5' }] },
    { ...ANSWER, places: [{ ...PLACE, bytes: 2 ** 60 }] },
    { ...ANSWER, places: [{ ...PLACE, at: 5 }] },
    { ...ANSWER, places: [{ ...PLACE, snapshot: 'a\nb' }] },
  ])
    await assert.rejects(ask(siteOf(async () => answer)), (error: Error & { key?: string }) => {
      assert.equal(error.key, 'NODE_ANSWER', JSON.stringify(answer))
      assert.ok(error.message.includes(ADDRESS), error.message)
      return true
    })
})

test('so many are waited for, and who leaves is waited for no longer', async () => {
  const told: AbortSignal[] = []
  const all = new Deferred<void>()
  const desk = siteOf((signal) => {
    told.push(signal)
    if (told.length === MAX_BACKUPS_NOW - 1) all.resolve()
    return new Promise((_, reject) =>
      signal.addEventListener('abort', () => reject(new Error('x'))),
    )
  })
  const gone = new AbortController()
  // One waits for a position, the others for the answer of another node.
  const waiting = [ask(desk, gone, { position: { epoch: 3, txid: 99 } })]
  for (let i = 1; i < MAX_BACKUPS_NOW; i++) waiting.push(ask(desk, gone))
  await all.promise
  await assert.rejects(ask(desk), { key: 'TOO_MANY_BACKUPS' })
  gone.abort()
  for (const { status } of await Promise.allSettled(waiting)) assert.equal(status, 'rejected')
  const before = told.length
  void ask(desk)
  await until('it is passed on', () => told.length === before + 1)
})
