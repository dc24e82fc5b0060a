/**
 * Passes TCP connections on and holds every chunk back for the same time, in both directions and in
 * order: a network's delay where the kernel cannot make one. Until it is stopped. `--listen` is
 * HOST:PORT or the path of a Unix socket.
 */
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { percentiles } from '../arithmetic.ts'
import { Flags, readyThenGo, report } from './program.ts'

/** Chunks whose holding times are kept for the report. */
const MAX_SAMPLES = 1_000_000
/** Held for one direction of a connection, or waiting in its socket, before no more is read. */
const MAX_HELD_BYTES = 32 * 1024 * 1024

const flags = new Flags(['listen', 'connect', 'delay-ms'])
const delayNs = BigInt(Math.round(flags.number('delay-ms') * 1e6))
const heldNs: number[] = []

interface Held {
  readonly arrivedNs: bigint
  readonly pass: () => void
}

/** The delay is one for all, so what arrived first is due first. */
const queue: Held[] = []
/** When the alarm is to ring, by the monotonic clock; see alarmWorker. */
const alarmNs = new BigInt64Array(new SharedArrayBuffer(8))
const alarm = new Worker(join(import.meta.dirname, 'alarmWorker.js'), { workerData: alarmNs })
alarm.on('message', passDue)

function hold(pass: () => void): void {
  const arrivedNs = process.hrtime.bigint()
  queue.push({ arrivedNs, pass })
  if (delayNs === 0n) passDue()
  else if (queue.length === 1) ringAt(arrivedNs + delayNs)
}

function passDue(): void {
  for (let next = queue[0]; next; next = queue[0]) {
    const nowNs = process.hrtime.bigint()
    if (nowNs < next.arrivedNs + delayNs) return ringAt(next.arrivedNs + delayNs)
    queue.shift()
    next.pass()
    if (heldNs.length < MAX_SAMPLES) heldNs.push(Number(nowNs - next.arrivedNs))
  }
}

function ringAt(ns: bigint): void {
  Atomics.store(alarmNs, 0, ns)
  Atomics.notify(alarmNs, 0)
}

function passOn(from: Socket, to: Socket): void {
  from.setNoDelay(true)
  let held = 0
  const passed = (bytes: number) => {
    held -= bytes
    if (held <= MAX_HELD_BYTES) from.resume()
  }
  from.on('data', (chunk: Buffer) => {
    held += chunk.length
    if (held > MAX_HELD_BYTES) from.pause()
    hold(() => to.write(chunk, () => passed(chunk.length)))
  })
  from.on('end', () => hold(() => to.end()))
  from.on('error', () => to.destroy())
  from.on('close', () => hold(() => to.destroySoon()))
}

const server = createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ ...addressOf(flags.text('connect')), allowHalfOpen: true })
  passOn(near, far)
  passOn(far, near)
})

function addressOf(text: string): { host: string; port: number } {
  const [host, port] = text.split(':')
  return { host, port: Number(port) }
}

process.once('SIGTERM', () => {
  process.stdout.write('', () => process.exit(0))
  report({ chunks: heldNs.length, heldP50Ms: percentiles(heldNs).p50Ms })
})

const listen = flags.text('listen')
await new Promise<void>((resolve) =>
  server.listen(listen.includes('/') ? { path: listen } : addressOf(listen), resolve),
)
await readyThenGo()
