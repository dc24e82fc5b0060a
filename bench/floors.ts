/**
 * What the machine itself allows, with as little code as possible between the clock and it: the
 * bounds of what any replication can do here. Each function measures once, in processes of its own,
 * so that a suite can take it in each of its rounds. Processes have the names of those that they
 * stand for, so that --pin places them the same.
 */
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../src/cli/freePorts.ts'
import { joinById, megabytesPerSecond, type Percentiles, percentiles } from './arithmetic.ts'
import { readSeen, readWritten } from './eventLog.ts'
import { type Context, resultOf, startProgram } from './suite.ts'

/** What a small commit is on the wire: one page and the fields of its batch. */
export const HOP_BYTES = 4300
const STREAM_CHUNK_BYTES = 256 * 1024
/** Enough for stable medians. */
const MAX_SECONDS = 3
const WARMUP = { 'warmup-rate': 1000, 'warmup-count': 1000 }
const TIMEOUT_MS = 60_000

export const OPERATIONS = [
  'pwritePage',
  'pwriteAndFdatasyncPage',
  'xxh64Page',
  'xxh64Megabyte',
  'walChecksumPage',
  'msgpackPack64Kb',
  'msgpackUnpack64Kb',
  'encodeBatch',
  'decodeBatch',
] as const
export type Operation = (typeof OPERATIONS)[number]

export interface LagFloors {
  /** Median from the return of a write to the callback of a file event in another process. */
  readonly fileEventMs: number
  /** Median one-way time of a small commit's message between two processes. */
  readonly hopMs: number
  /** Both together: no replica fed by file events and a socket can do better. */
  readonly floorMs: number
}

type Flags = Readonly<Record<string, string | number>>

/** What bounds the lag of a small commit, measured at `ratePerSecond`. */
export async function floorsOfLag(context: Context, ratePerSecond: number): Promise<LagFloors> {
  const fileEventMs = (await measureFileEvent(context, ratePerSecond)).p50Ms
  const hopMs = (await measureHop(context, ratePerSecond)).p50Ms
  return { fileEventMs, hopMs, floorMs: fileEventMs + hopMs }
}

/** From the return of an 8-byte pwrite to the callback of fs.watch in another process. */
export async function measureFileEvent(
  context: Context,
  ratePerSecond: number,
): Promise<Percentiles> {
  const folder = context.processes.newFolder()
  const [file, writtenLog, seenLog] = ['file', 'written', 'seen'].map((name) => join(folder, name))
  writeFileSync(file, Buffer.alloc(4096))
  const warmupCount = WARMUP['warmup-count']
  const count = countOf(context, ratePerSecond)
  const watching = {
    file,
    until: warmupCount + count,
    'max-seconds': MAX_SECONDS + 30,
    log: seenLog,
  }
  const watcher = await start(context, 'leader', 'fileEventWatcher', watching)
  const writing = { file, rate: ratePerSecond, count, ...WARMUP, log: writtenLog }
  const writer = await start(context, 'writer', 'fileEventWriter', writing)
  for (const child of [watcher, writer]) child.go()
  await resultOf(writer, TIMEOUT_MS, ['writes'])
  await resultOf(watcher, TIMEOUT_MS, ['last'])
  const measured = readWritten(writtenLog).filter(({ id }) => id > warmupCount)
  const { fromCommitNs, missing } = joinById(measured, readSeen(seenLog))
  if (missing > 0) throw new Error(`no file event told of ${missing} writes`)
  return percentiles(fromCommitNs)
}

/**
 * Half of the round trip of a message of HOP_BYTES and a small answer, by ws over loopback.
 * `ratePerSecond` Infinity: each message follows the answer to the one before at once.
 */
export async function measureHop(context: Context, ratePerSecond: number): Promise<Percentiles> {
  const log = join(context.processes.newFolder(), 'answered')
  const port = await freePort()
  const server = await start(context, 'replica', 'echoServer', { port })
  server.go()
  const rate = ratePerSecond === Infinity ? 0 : ratePerSecond
  const count = ratePerSecond === Infinity ? 5000 : countOf(context, ratePerSecond)
  const sending = { port, 'message-bytes': HOP_BYTES, rate, count, ...WARMUP, log }
  const client = await start(context, 'leader', 'echoClient', sending)
  client.go()
  await resultOf(client, TIMEOUT_MS, ['messages'])
  await server.stop()
  const measured = readWritten(log).filter(({ id }) => id > WARMUP['warmup-count'])
  return percentiles(measured.map(({ begunNs, committedNs }) => Number(committedNs - begunNs) / 2))
}

/** MB/s of one TCP stream over loopback between two processes that do nothing else. */
export async function measureLoopback(context: Context): Promise<number> {
  const port = await freePort()
  const sink = await start(context, 'replica', 'streamSink', { port })
  sink.go()
  const sending = { port, 'chunk-bytes': STREAM_CHUNK_BYTES, seconds: secondsOf(context) }
  const source = await start(context, 'leader', 'streamSource', sending)
  source.go()
  await resultOf(source, TIMEOUT_MS, ['bytes'])
  const { bytes, elapsedMs } = await resultOf(sink, TIMEOUT_MS, ['bytes', 'elapsedMs'])
  return bytes / 1e3 / elapsedMs
}

/** µs for one of each small operation. */
export async function measureOperations(
  context: Context,
): Promise<Readonly<Record<Operation, number>>> {
  const file = join(context.processes.newFolder(), 'file')
  const child = await start(context, 'leader', 'operations', { file })
  child.go()
  return resultOf(child, TIMEOUT_MS, OPERATIONS)
}

export interface SequentialRates {
  /** Of a new file, fsync included. */
  readonly writeMbPerSecond: number
  /** Of `cp` of that file out of the page cache, and `sync` of the copy. */
  readonly cpMbPerSecond: number
}

export async function measureSequential(
  context: Context,
  megabytes: number,
): Promise<SequentialRates> {
  const { processes } = context
  const folder = processes.newFolder()
  const [file, copy] = [join(folder, 'file'), join(folder, 'copy')]
  const writer = await start(context, 'replica', 'sequentialWriter', { file, mb: megabytes })
  writer.go()
  const { bytes, elapsedMs } = await resultOf(writer, TIMEOUT_MS, ['bytes', 'elapsedMs'])
  const fromNs = process.hrtime.bigint()
  await processes.run({ name: 'cp', file: 'cp', args: [file, copy] }, TIMEOUT_MS)
  await processes.run({ name: 'sync', file: 'sync', args: [copy] }, TIMEOUT_MS)
  const cpMbPerSecond = megabytesPerSecond(statSync(copy).size, process.hrtime.bigint() - fromNs)
  await processes.run({ name: 'rm', file: 'rm', args: ['-r', folder] }, TIMEOUT_MS)
  return { writeMbPerSecond: bytes / 1e3 / elapsedMs, cpMbPerSecond }
}

const secondsOf = ({ options }: Context) => Math.min(options.seconds, MAX_SECONDS)

const countOf = (context: Context, ratePerSecond: number) =>
  Math.ceil(ratePerSecond * secondsOf(context))

function start(context: Context, name: string, script: string, flags: Flags) {
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])
  return startProgram(context, name, { script: `programs/${script}.js`, args })
}
