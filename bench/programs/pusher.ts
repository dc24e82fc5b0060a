/**
 * Looks at a SQLite database every so often and, when it has changed, sends all of it to each
 * receiver: what a job of cron with a backup, gzip and an upload does. Goes on until it is stopped.
 * Whatever took longer than the time between two looks is followed by the next look at once.
 */
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { HttpConnection } from '../clients/httpConnection.ts'
import { Snapshots } from '../snapshots.ts'
import { Flags, readyThenGo } from './program.ts'

const flags = new Flags(['db', 'to', 'every-ms'])
const everyMs = flags.number('every-ms')
const receivers = flags
  .text('to')
  .split(',')
  .map((url) => new HttpConnection(url))
const snapshots = new Snapshots(flags.text('db'))

await readyThenGo()
let dueMs = performance.now()
for (;;) {
  const leftMs = dueMs - performance.now()
  if (leftMs > 0) await setTimeout(leftMs)
  dueMs = performance.now() + everyMs
  const copy = snapshots.next()
  if (!copy) continue
  const body = gzipSync(copy, { level: 1 })
  await Promise.all(receivers.map((receiver) => receiver.post('/', body, 'application/gzip')))
}
