/**
 * A thread that wakes another at a time given in nanoseconds: timers of Node's event loop know
 * whole milliseconds only. The time is in shared memory, and each is later than the one before; the
 * thread is told by a message.
 */
import { parentPort, workerData } from 'node:worker_threads'

if (!(workerData instanceof BigInt64Array)) throw new Error('the time is missing')
const alarmNs = workerData
let servedNs = 0n
for (;;) {
  const dueNs = Atomics.load(alarmNs, 0)
  if (dueNs === servedNs) {
    Atomics.wait(alarmNs, 0, servedNs)
    continue
  }
  const leftNs = Number(dueNs - process.hrtime.bigint())
  if (leftNs > 0) {
    Atomics.wait(alarmNs, 0, dueNs, leftNs / 1e6)
    continue
  }
  servedNs = dueNs
  parentPort?.postMessage(null)
}
