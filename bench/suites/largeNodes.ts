/** What the parts of the suite large share. */
import { statSync } from 'node:fs'
import { memoryOf, resetPeakRss } from '../procfs.ts'
import { type Context, newSetup, resultOf, startProgram } from '../suite.ts'
import type { Setup } from '../system.ts'
import { leaderPath, RunningWalcast, type WalcastOptions, walcast } from '../systems/walcast.ts'

/** Within which a node starts or a replica becomes level. */
export const TIMEOUT_MS = 1_200_000
/** Between two looks whether a replica is level: asking takes CPU from the nodes. */
const LOOK_MS = 20
const SAMPLE_MS = 100

export interface LargeDatabase {
  readonly setup: Setup
  readonly fileMb: number
}

/** A database of rows that fill a page each. */
export async function makeLarge(context: Context, gigabytes: number): Promise<LargeDatabase> {
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'pages', gigabytes * 1000)
  return { setup, fileMb: statSync(leaderPath(setup)).size / 1e6 }
}

/** Frees the disk space. */
export async function removeAll({ processes }: Context, { folder }: Setup): Promise<void> {
  await processes.run({ name: 'rm', file: 'rm', args: ['-rf', folder] }, TIMEOUT_MS)
}

/** Nodes that are not started yet; they take over the files of earlier ones. */
export function newNodes(setup: Setup, options: WalcastOptions = {}): RunningWalcast {
  return new RunningWalcast(setup, { ...options, readyTimeoutMs: TIMEOUT_MS })
}

export function whenLevel(running: RunningWalcast, commits = 0): Promise<void> {
  return running.whenLevel(commits, TIMEOUT_MS, LOOK_MS)
}

export async function secondsOf(what: () => Promise<unknown>): Promise<number> {
  const fromMs = performance.now()
  await what()
  return (performance.now() - fromMs) / 1000
}

/** The largest RSS counts from here on. */
export function resetRss({ nodes }: RunningWalcast): void {
  for (const { pid } of nodes) resetPeakRss(pid)
}

/** The largest RSS of the leader and of a replica, counted from 1. */
export function rssOf(
  { nodes }: RunningWalcast,
  replica = 1,
): { leaderRssMb: number; replicaRssMb: number } {
  const megabytes = nodes.map(({ pid }) => memoryOf(pid).peakRssBytes / 1e6)
  return { leaderRssMb: megabytes[0], replicaRssMb: megabytes[replica] ?? Number.NaN }
}

export async function sentMb(running: RunningWalcast): Promise<number> {
  return (await running.leaderMetric('walcast_send_bytes_total')) / 1e6
}

/**
 * One commit: `rows` rows spread over the file, every row, or VACUUM. When it began, and seconds
 * that the writer took.
 */
export async function rewrite(
  context: Context,
  setup: Setup,
  what: 'spread' | 'update' | 'vacuum',
  rows = 0,
): Promise<{ begunMs: number; seconds: number; changedPages: number }> {
  const args = ['--where', leaderPath(setup), '--what', what, '--rows', String(rows)]
  const child = await startProgram(context, 'writer', { script: 'programs/rewrite.js', args })
  const begunMs = performance.now()
  child.go()
  const { elapsedMs, changedPages } = await resultOf(child, TIMEOUT_MS, [
    'elapsedMs',
    'changedPages',
  ])
  return { begunMs, seconds: elapsedMs / 1000, changedPages }
}

/** Watches the largest size of a database's WAL file; call the result to get it. */
export function watchWal(path: string): () => number {
  let largest = 0
  const look = () => {
    largest = Math.max(largest, statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0)
  }
  const timer = setInterval(look, SAMPLE_MS)
  return () => {
    clearInterval(timer)
    look()
    return largest / 1e6
  }
}
