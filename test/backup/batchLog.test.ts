/** The log of batches: what a crash, a full disk or a flipped byte leaves of it. */
import assert from 'node:assert/strict'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { BatchLog, type BatchLogLimits } from '../../src/backup/batchLog.ts'
import { HEAD_BYTES } from '../../src/backup/batchRecord.ts'
import { recordAfter } from '../../src/backup/logSearch.ts'
import { PendingBatches } from '../../src/backup/pendingBatches.ts'
import { keyOf, WalcastError } from '../../src/errors.ts'
import { createFileOps, type FileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { A, headsOf, stand } from '../support/batchLogs.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-log-'))
after(() => rmSync(root, { recursive: true, force: true }))

const MiB = 1024 * 1024
const ROOMY = { maxBytes: 64 * MiB, maxPendingBytes: 64 * MiB }
let made = 0
const newFolder = () => join(root, String(++made))

interface Opened {
  readonly log: BatchLog
  readonly dropped: number[]
  readonly failed: (string | undefined)[]
}

function opened(
  folder: string,
  limits: BatchLogLimits = ROOMY,
  ops: FileOps = systemFileOps,
): Opened {
  const [dropped, failed]: [number[], (string | undefined)[]] = [[], []]
  const log = BatchLog.open(folder, limits, ops, {
    onDropped: (bytes) => dropped.push(bytes),
    onFailed: (error) => failed.push(keyOf(error)),
  })
  return { log, dropped, failed }
}

/** Batches of one message each, from `from` on. */
function append(log: BatchLog, from: number, to: number, bytes = 10): boolean[] {
  const taken: boolean[] = []
  for (let txid = from; txid < to; txid++) {
    const message = Buffer.alloc(bytes, txid)
    const [head] = headsOf(stand(txid), stand(txid + 1), [message])
    taken.push(log.append(head, message))
  }
  return taken
}

async function txidsOf(log: BatchLog): Promise<number[]> {
  const txids: number[] = []
  for await (const { head } of log.entries()) txids.push(head.to.txid)
  return txids
}

const only = (folder: string) => join(folder, readdirSync(folder).sort()[0])

test('a log that is opened again has what was appended, and ends there', async () => {
  const folder = newFolder()
  const { log } = opened(folder)
  append(log, 1, 5)
  await log.close()
  const again = opened(folder).log
  assert.deepEqual(await txidsOf(again), [2, 3, 4, 5])
  assert.deepEqual(await again.end(), stand(5))
  append(again, 5, 7)
  assert.deepEqual(await txidsOf(again), [2, 3, 4, 5, 6, 7])
  for await (const entry of again.entries())
    assert.equal((await entry.message())[0], entry.head.from.txid)
  await again.close()
})

test('wherever a log is torn off, what is whole before stays', async () => {
  const folder = newFolder()
  const { log } = opened(folder)
  append(log, 1, 4)
  await log.close()
  const record = HEAD_BYTES + 10
  for (let bytes = 3 * record; bytes >= 0; bytes -= 7) {
    truncateSync(only(folder), bytes)
    const torn = opened(folder).log
    const whole = Math.floor(bytes / record)
    assert.deepEqual(await txidsOf(torn), [2, 3, 4].slice(0, whole))
    assert.equal((await torn.end())?.txid, whole === 0 ? undefined : whole + 1)
  }
})

test('what is appended after a torn tail is read', async () => {
  const folder = newFolder()
  const { log } = opened(folder)
  append(log, 1, 3)
  await log.close()
  appendFileSync(only(folder), 'torn')
  const again = opened(folder).log
  append(again, 3, 4)
  assert.deepEqual(await txidsOf(again), [2, 3, 4])
  await again.close()
})

test('a message that was changed is not given, nor what follows it in its file', async () => {
  const folder = newFolder()
  const { log } = opened(folder)
  append(log, 1, 4)
  await log.close()
  const bytes = readFileSync(only(folder))
  bytes[2 * HEAD_BYTES + 10 + 5] ^= 1
  writeFileSync(only(folder), bytes)
  const changed = opened(folder).log
  const failures: (string | undefined)[] = []
  for await (const entry of changed.entries())
    await entry.message().catch((error: unknown) => failures.push(keyOf(error)))
  assert.deepEqual(failures, ['ARCHIVE_BROKEN'])
  assert.deepEqual(await txidsOf(changed), [2])
  append(changed, 4, 5)
  assert.deepEqual(await txidsOf(changed), [2, 5])
  await changed.close()
})

test('what a failed write takes along is lost whole, and the log goes on', async () => {
  const folder = newFolder()
  let isFull = true
  const ops = createFileOps((op) => {
    if (op === 'log.append' && isFull) throw new WalcastError('DISK_FULL', { path: folder })
  })
  const { log, failed } = opened(folder, ROOMY, ops)
  append(log, 1, 3)
  const settled = log.settled()
  append(log, 3, 5)
  await settled
  assert.deepEqual(failed, ['DISK_FULL'])
  assert.equal(log.pendingBytes, 0)
  isFull = false
  append(log, 7, 8)
  assert.deepEqual(await txidsOf(log), [8])
  await log.close()
})

test('more than may wait is not taken', async () => {
  const limits = { maxBytes: 64 * MiB, maxPendingBytes: 2 * (HEAD_BYTES + 10) }
  const { log } = opened(newFolder(), limits)
  assert.deepEqual(append(log, 1, 5), [true, true, false, false])
  await log.settled()
  assert.equal(log.pendingBytes, 0)
  assert.deepEqual(append(log, 3, 4), [true])
  await log.close()
})

test('past its bound the oldest files go, and the newest stays', async () => {
  const folder = newFolder()
  const { log, dropped } = opened(folder, { maxBytes: 20 * MiB, maxPendingBytes: 64 * MiB })
  for (let txid = 1; txid < 4; txid++) {
    append(log, txid, txid + 1, 16 * MiB)
    await log.settled()
  }
  assert.equal(dropped.length, 2)
  assert.deepEqual(await txidsOf(log), [4])
  await log.close()
  assert.equal(readdirSync(folder).length, 1)
})

test('trim removes what lies wholly before a place', async () => {
  const folder = newFolder()
  for (let txid = 1; txid < 4; txid++) {
    const { log } = opened(folder)
    append(log, txid, txid + 1)
    await log.close()
  }
  const { log } = opened(folder)
  log.trim({ segment: 2, offset: 0 })
  assert.deepEqual(await txidsOf(log), [3, 4])
  log.trim({ segment: 9, offset: 0 })
  assert.deepEqual(await txidsOf(log), [4])
  await log.close()
  assert.equal(readdirSync(folder).length, 1)
})

test('a log whose folder is removed goes on in a new one', async () => {
  const folder = newFolder()
  const { log, failed } = opened(folder)
  append(log, 1, 3)
  await log.settled()
  rmSync(folder, { recursive: true })
  assert.deepEqual(await txidsOf(log), [])
  append(log, 3, 5)
  assert.deepEqual(await txidsOf(log), [4, 5])
  log.trim({ segment: 2, offset: 0 })
  await log.close()
  assert.deepEqual(failed, [])
})

test('what is no file is left alone', async () => {
  const folder = newFolder()
  mkdirSync(join(folder, '000000000004.log'), { recursive: true })
  const { log } = opened(folder)
  assert.equal(await log.end(), undefined)
  append(log, 1, 2)
  assert.deepEqual(await txidsOf(log), [2])
  await log.close()
})

test('a log that cannot be written leaves no files, and gives its room away', async () => {
  const folder = newFolder()
  let isFull = false
  const ops = createFileOps((op) => {
    if (op === 'log.append' && isFull) throw new WalcastError('DISK_FULL', { path: folder })
  })
  const again: boolean[] = []
  const log = BatchLog.open(folder, ROOMY, ops, {
    onDropped() {},
    onFailed: (_, isAgain) => again.push(isAgain),
  })
  append(log, 1, 2)
  await log.settled()
  isFull = true
  for (let txid = 2; txid < 8; txid++) {
    append(log, txid, txid + 1)
    await log.settled()
  }
  assert.deepEqual(again, [false, true, true, true, true, true])
  assert.equal(log.error?.key, 'DISK_FULL')
  assert.deepEqual(await txidsOf(log), [2])
  log.trim(log.tail)
  assert.equal(log.bytes, 0)
  isFull = false
  append(log, 9, 10)
  assert.deepEqual(await txidsOf(log), [10])
  assert.equal(log.error, undefined)
  await log.close()
  assert.equal(readdirSync(folder).length, 1)
})

test('where batches are is told from memory: a head is read once', async () => {
  const folder = newFolder()
  const first = opened(folder)
  append(first.log, 1, 50)
  await first.log.close()
  const { log } = opened(folder)
  append(log, 50, 80)
  const spans = async () => [...(await log.spans())]
  assert.deepEqual(await spans(), [[A, { first: 1, last: 79 }]])
  // As nobody does: what is read again would be missing.
  for (const name of readdirSync(folder)) truncateSync(join(folder, name), 0)
  assert.deepEqual(await spans(), [[A, { first: 1, last: 79 }]])
  await log.close()
})

test('a batch is looked for in those files alone that may have it', async () => {
  const folder = newFolder()
  for (const [from, to] of [
    [1, 50],
    [50, 90],
    [90, 99],
  ] as const) {
    const { log } = opened(folder)
    append(log, from, to)
    await log.close()
  }
  const { log } = opened(folder)
  const txids: number[] = []
  for await (const { head } of log.batchesAt(60, 70)) txids.push(head.from.txid)
  assert.deepEqual(
    txids,
    Array.from({ length: 40 }, (_, i) => 50 + i),
  )
  for (const txid of [1, 49, 50, 98])
    assert.ok(await recordAfter(log, stand(txid), undefined), `txid ${txid}`)
  assert.equal(await recordAfter(log, stand(99), undefined), undefined)
  await log.close()
})

test('a large batch makes room bit by bit, and is not copied whole', () => {
  const size = 3 * 1024 ** 2
  const message = Buffer.alloc(size)
  const [head] = headsOf(stand(1), stand(2), [message])
  const pending = new PendingBatches(5 * (size + HEAD_BYTES))
  for (let i = 0; i < 5; i++) assert.equal(pending.add(head, message), true)
  assert.equal(pending.add(head, message), false)
  const written = pending.next()
  assert.equal(written.length, 2 * (size + HEAD_BYTES))
  assert.equal(pending.add(head, message), false, 'it counts until it is written')
  pending.onWritten(written.length)
  assert.equal(pending.add(head, message), true)
  assert.equal(pending.next().length, written.length)
  assert.equal(pending.next().length, written.length)
  assert.equal(pending.isWaiting, false)
  pending.drop()
  assert.equal(pending.bytes, 0)
})
