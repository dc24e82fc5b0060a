/** Batches on their way into the log: none is taken that does not follow from what is there. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { decode } from '../../proto/codec.ts'
import type { ArchiveSource } from '../../src/backup/archiveSource.ts'
import { BatchChain } from '../../src/backup/batchChain.ts'
import { BatchLog } from '../../src/backup/batchLog.ts'
import { messageSum, type Stand } from '../../src/backup/batchRecord.ts'
import { nextRun } from '../../src/backup/changesRun.ts'
import { encodeBatch } from '../../src/feed/batch.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { A, stand } from '../support/batchLogs.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-chain-'))
after(() => rmSync(root, { recursive: true, force: true }))
let made = 0

/** A database that stands where it is told to. */
function chained(end: Stand | undefined, at: Stand | undefined = end) {
  const log = BatchLog.open(
    join(root, String(++made)),
    { maxBytes: 1 << 26, maxPendingBytes: 1 << 20 },
    systemFileOps,
    { onDropped() {}, onFailed() {} },
  )
  const breaks: string[] = []
  const history: Buffer[] = []
  const place = { at, isOpen: false }
  const source: ArchiveSource = {
    role: 'leader',
    state: () =>
      place.at && {
        ...place.at,
        isOpen: place.isOpen,
        pageSize: 512,
        source: { pages: 1, sumOf: () => 0n } as never,
      },
    historyAt: () => ({ incarnation: A, epoch: 1 }),
    batchesAfter: ({ txid }) =>
      history.length === 0 ? undefined : history.filter((each) => fromTxidOf(each) >= txid),
    leaderMs: () => 5,
    leaderAddress: () => undefined,
    hasReplicas: () => false,
    look() {},
  }
  const chain = new BatchChain(log, end, {
    onAppended() {},
    onBroken: (why) => breaks.push(why),
  })
  chain.attach(source)
  const message = (from: number, to: number, last: boolean) =>
    chain.onBatch({
      from: stand(from),
      txid: to,
      checksum: stand(to).checksum,
      last,
      noticeMs: 1,
      message: Buffer.from(`${from}-${to}`),
      pageNumbers: [],
    })
  return { log, chain, breaks, place, message, history }
}

function fromTxidOf(message: Buffer): number {
  const { type, body } = decode(message)
  return type === 'batch' ? body.fromTxid : 0
}

async function runOf(log: BatchLog): Promise<readonly number[] | undefined> {
  const run = await nextRun(log.batches(), { bytes: 1 << 20, batches: 100 })
  return run && [run.from.txid, run.to.txid, run.parts[0].entries]
}

test('the rest of a batch whose beginning the log lost is left out', async () => {
  const { log, chain, breaks, place, message } = chained(stand(1))
  message(1, 2, false)
  chain.onLogFailed('full', {})
  message(1, 2, false)
  message(1, 2, true)
  assert.equal(await runOf(log), undefined)
  assert.equal(chain.end, undefined)
  place.at = stand(2)
  chain.requireLevel()
  assert.deepEqual(chain.end, stand(2))
  message(2, 3, true)
  assert.deepEqual(await runOf(log), [2, 3, 1])
  assert.deepEqual(breaks, ['full'])
})

test('what is larger than may wait breaks the chain once, and leaves no half of it', async () => {
  const { log, chain, breaks } = chained(stand(1))
  const large = Buffer.alloc(600_000)
  for (const last of [false, false, true])
    chain.onBatch({
      ...{ from: stand(1), txid: 2, checksum: stand(2).checksum, last, noticeMs: 1 },
      ...{ message: large, pageNumbers: [] },
    })
  assert.equal(breaks.length, 1)
  assert.equal(await runOf(log), undefined)
})

test('what did not fit comes from the history of the leader, once there is room', async () => {
  const { log, chain, breaks, place, history } = chained(stand(1))
  const commit = (txid: number, messages: number) => {
    for (let chunk = 0; chunk < messages; chunk++) {
      const message = largeMessage(txid, chunk, chunk === messages - 1)
      history.push(message)
      const { checksum } = stand(txid)
      const about = { from: stand(txid - 1), txid, checksum, last: chunk === messages - 1 }
      chain.onBatch({ ...about, noticeMs: 1, message, pageNumbers: [] })
    }
    place.at = stand(txid)
  }
  const goOn = async () => {
    await log.settled()
    chain.requireLevel()
  }
  for (const txid of [2, 3, 4]) commit(txid, 1)
  assert.deepEqual([chain.end, chain.isOpen, breaks], [stand(2), true, []])
  await goOn()
  assert.deepEqual([chain.end, chain.isOpen], [stand(3), true])
  await goOn()
  assert.deepEqual([chain.end, chain.isOpen], [stand(4), false])
  const heads: string[] = []
  for await (const { head } of log.batches()) heads.push(`${head.from.txid}-${head.to.txid}`)
  assert.deepEqual([heads, breaks], [['1-2', '2-3', '3-4'], []])
  // This one never fits.
  commit(5, 3)
  await goOn()
  await goOn()
  assert.deepEqual([chain.end, breaks], [stand(5), ['batches are missing']])
})

/** More than half of what may wait. */
function largeMessage(txid: number, chunk: number, last: boolean): Buffer {
  const numbers = Array.from({ length: 1100 }, (_, i) => i)
  return encodeBatch(
    {
      ...{ db: 'main', epoch: 1, fromTxid: txid - 1, txid, chunk, last, pageSize: 512 },
      ...{ dbPages: 1100, checksum: last ? stand(txid).checksum : '' },
      ...{ noticeMs: 1, noticedMs: 1, sentMs: 1 },
    },
    { pageNumbers: numbers.map((i) => i + 1), page: () => Buffer.alloc(512) } as never,
    numbers,
  )
}

test('a chain is open within a batch, and while the database is unknown', () => {
  const { chain, place, message } = chained(stand(1))
  assert.equal(chain.isOpen, false)
  message(1, 2, false)
  assert.equal(chain.isOpen, true)
  message(1, 2, true)
  assert.equal(chain.isOpen, false)
  place.at = undefined
  assert.equal(chain.isOpen, true)
})

test('another state at the same txid breaks the chain', async () => {
  const other = { ...stand(5), checksum: '00000000000000ff' }
  const { chain, breaks } = chained(stand(5), other)
  assert.deepEqual(breaks, ['batches are missing'])
  assert.deepEqual(chain.end, other)
})

test('a clock that is set back, even before 1970, stops nothing', async () => {
  const { log, chain } = chained(stand(1))
  const batch = { from: stand(1), txid: 2, checksum: stand(2).checksum, last: true, noticeMs: -7 }
  chain.onBatch({ ...batch, message: Buffer.from('m'), pageNumbers: [] })
  for await (const { head } of log.entries()) assert.equal(head.sum, messageSum(Buffer.from('m')))
  assert.deepEqual(await runOf(log), [1, 2, 1])
})

test('a log that fails breaks the chain once; nothing is taken before the next look', async () => {
  const { log, chain, breaks, place, message } = chained(stand(1))
  chain.onLogFailed('full', {})
  message(1, 2, true)
  chain.onLogFailed('full', {}, true)
  message(2, 3, true)
  assert.equal(chain.isOpen, true)
  place.at = stand(3)
  chain.requireLevel()
  assert.equal(chain.isOpen, false)
  message(3, 4, true)
  assert.deepEqual(await runOf(log), [3, 4, 1])
  assert.deepEqual(breaks, ['full'])
})
