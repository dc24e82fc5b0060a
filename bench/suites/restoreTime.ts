/**
 * How fast an archive gives a database back, and a row of it.
 *
 * A database of `--mb` of rows that fill a page each has a snapshot in the archive. Then come
 * `--transactions`, 2000 a second, so that nearly each is a position of its own: every one adds a
 * small row and changes one that fills a page.
 *
 * - `seconds`: `walcast restore`, the whole command: checksums, sync, SQLite's integrity check.
 *   `cpSeconds`: `cp` and `sync` of the result. Both take turns, from the page cache.
 * - `aimSeconds`: twice cp, and `changedMb` (images of pages after the snapshot) at 300 MB/s.
 * - `planMs` and the like: where the time goes, see programs/timedRestore.ts.
 * - `at`: `walcast at` for one row by its key at the newest position, each in a new process.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { formatPosition } from '../../proto/position.ts'
import { spread } from '../arithmetic.ts'
import { openForReading } from '../clients/sqlite.ts'
import { type Context, newSetup, resultOf, startProgram, warmUp } from '../suite.ts'
import type { Place, Setup } from '../system.ts'
import {
  archiveFolder,
  restoreByCommand,
  sourceOf,
  startArchived,
  walcastCommand,
} from '../systems/archivedWalcast.ts'
import { verifySame } from '../systems/content.ts'
import { walcast } from '../systems/walcast.ts'
import { writer } from '../writing.ts'
import { secondsOf } from './largeNodes.ts'
import type { Figures, RestoreCase } from './restoreCase.ts'

const COMMITS_PER_SECOND = 2000
const PAGES = 2
const APPLIED_MB_PER_SECOND = 300
const TIMEOUT_MS = 1_200_000
const AIM_AT_MS = 1000
/** Processes that ask for a row. */
const QUERIES = 9
const PHASES = [
  ...['planMs', 'pagesMs', 'readMs', 'checksumMs', 'writeMs', 'syncMs', 'integrityMs'],
  ...['positions', 'files', 'archiveBytes', 'changedBytes', 'databaseBytes'],
] as const

interface Archived {
  readonly setup: Setup
  /** EPOCH-TXID. */
  readonly newest: string
  readonly backupSeconds: number
}

export async function measureRestores(context: Context): Promise<RestoreCase[]> {
  const { restoreParts } = context.options
  const archived = await makeArchived(context)
  const cases: RestoreCase[] = []
  if (restoreParts.includes('restore')) cases.push(...(await measureCommand(context, archived)))
  if (restoreParts.includes('at')) cases.push(await measureAt(context, archived))
  await removeFolder(context, archived.setup.folder)
  return cases
}

/** A stopped node, and the archive of all that it had. */
async function makeArchived(context: Context): Promise<Archived> {
  const { databaseMb, transactions } = context.options
  context.progress(`restore: make ${databaseMb} MB, and ${transactions} transactions`)
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'pages', databaseMb)
  let running: Awaited<ReturnType<typeof startArchived>> | undefined
  const backupSeconds = await secondsOf(async () => {
    running = await startArchived(setup)
  })
  if (!running) throw new Error('the leader did not start')
  await commit(context, running.primary, setup, COMMITS_PER_SECOND)
  const { epoch, txid } = await running.leaderStatus()
  await running.whenArchived(running.startTxid + transactions)
  await running.stop()
  return { setup, newest: formatPosition({ epoch, txid }), backupSeconds }
}

/** `--transactions` of two pages and more. */
export async function commit(
  context: Context,
  primary: Place,
  setup: Setup,
  ratePerSecond: number,
): Promise<void> {
  const count = context.options.transactions
  const pace = { warmupPerSecond: 1, warmupCount: 0, ratePerSecond, count }
  const log = join(setup.folder, 'written')
  const program = writer(primary, { kind: 'paced', ...pace, pages: PAGES, log })
  const child = await startProgram(context, 'writer', program)
  await warmUp(child, 60, async () => {})
  await resultOf(child, TIMEOUT_MS, ['elapsedMs'])
}

async function measureCommand(
  context: Context,
  { setup, backupSeconds }: Archived,
): Promise<RestoreCase[]> {
  const place = { place: archiveFolder(setup) }
  const to = join(setup.folder, 'restored.db')
  const withCheck: number[] = []
  const withoutCheck: number[] = []
  const copies: number[] = []
  for (let round = 1; round <= context.options.rounds; round++) {
    context.progress(`restore: walcast restore and cp, round ${round}`)
    rmSync(to, { force: true })
    withoutCheck.push(
      await secondsOf(() => restoreByCommand(setup, place, to, ['--no-integrity-check'])),
    )
    rmSync(to, { force: true })
    withCheck.push(await secondsOf(() => restoreByCommand(setup, place, to)))
    copies.push(await timeCp(context, to))
  }
  await verifySame(setup, [sourceOf(setup), { client: 'sqlite', where: to }])
  rmSync(to, { force: true })
  const phases = await timePhases(context, place.place, to)
  rmSync(to, { force: true })
  const cpSeconds = spread(copies)
  const changedMb = phases.changedBytes / 1e6
  const aimSeconds = 2 * cpSeconds.median + changedMb / APPLIED_MB_PER_SECOND
  const about = {
    databaseMb: phases.databaseBytes / 1e6,
    archiveMb: phases.archiveBytes / 1e6,
    changedMb,
    positions: phases.positions,
    files: phases.files,
  }
  const timesOf = (seconds: readonly number[]) => ({
    seconds: spread(seconds),
    aimSeconds,
    cpSeconds,
    ofAim: spread(seconds.map((each) => each / aimSeconds)),
  })
  return [
    caseOf('the whole command', {
      ...about,
      backupSeconds,
      ...timesOf(withCheck),
      ...msOf(phases),
    }),
    caseOf('no integrity check', { ...about, ...timesOf(withoutCheck) }),
  ]
}

function caseOf(name: string, figures: Figures): RestoreCase {
  return { system: walcast.name, part: 'restore', case: name, figures, identical: true }
}

type Phases = Readonly<Record<(typeof PHASES)[number], number>>

function msOf(phases: Phases): Figures {
  return Object.fromEntries(Object.entries(phases).filter(([name]) => name.endsWith('Ms')))
}

async function timePhases(context: Context, from: string, to: string): Promise<Phases> {
  const { processes, root, options } = context
  const script = join(root, 'dist/bench/programs/timedRestore.js')
  const args = [...options.nodeArgs, script, '--from', from, '--to', to]
  const child = processes.start({ name: 'restore', file: process.execPath, args })
  return resultOf(child, TIMEOUT_MS, PHASES)
}

async function timeCp({ processes }: Context, from: string): Promise<number> {
  const to = `${from}-copy`
  const seconds = await secondsOf(async () => {
    await processes.run({ name: 'cp', file: 'cp', args: [from, to] }, TIMEOUT_MS)
    await processes.run({ name: 'sync', file: 'sync', args: [to] }, TIMEOUT_MS)
  })
  rmSync(to, { force: true })
  return seconds
}

async function measureAt(
  { progress, options }: Context,
  { setup, newest }: Archived,
): Promise<RestoreCase> {
  progress(`restore: at ${newest}, ${QUERIES} processes`)
  const db = openForReading(sourceOf(setup).where)
  const rows = Number(db.prepare('SELECT count(*) FROM pages').pluck().get())
  const select = 'SELECT id, n, length(v) AS bytes FROM pages WHERE id = '
  const keys = Array.from({ length: QUERIES }, (_, i) => 1 + Math.floor((i * rows) / QUERIES))
  const expected = keys.map((key) => JSON.stringify(db.prepare(select + key).get()))
  db.close()
  const seconds: number[] = []
  for (const [i, key] of keys.entries()) {
    const args = ['at', newest, select + key, '--from', archiveFolder(setup), '--json']
    let found = ''
    seconds.push(
      await secondsOf(async () => {
        found = await walcastCommand(setup, 'at', args)
      }),
    )
    if (found !== expected[i]) throw new Error(`walcast at gives ${found}, not ${expected[i]}`)
  }
  const { median, min, max } = spread(seconds)
  const figures = {
    databaseMb: options.databaseMb,
    queries: QUERIES,
    p50Ms: { median: 1000 * median, min: 1000 * min, max: 1000 * max },
    aimP50Ms: AIM_AT_MS,
  }
  return { system: walcast.name, part: 'at', case: 'a row by its key', figures, identical: true }
}

/** Frees the disk. */
export async function removeFolder({ processes }: Context, folder: string): Promise<void> {
  await processes.run({ name: 'rm', file: 'rm', args: ['-rf', folder] }, TIMEOUT_MS)
}
