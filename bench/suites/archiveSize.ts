/**
 * How much is kept of `--hours` of 20 commits a second on a database of `--mb`, at most 100:
 * random orders change, and each change adds a line to a journal (orderTraffic.ts). A day is
 * 1,728,000 commits, which `--hours 24` makes in about an hour.
 *
 * walcast: programs/archiveHours.ts runs that code on real commits, with their time as its clock.
 * Litestream: the same commits as fast as they go, beside its `replicate` with its standard
 * settings. What it keeps goes by bytes of WAL, not by time: it keeps all of a day.
 *
 * - `keptMb`: all files, snapshots too.
 * - `ofImages`, `ofWal`: `keptMb` by the bytes of pages captured (each page of a commit once), and
 *   by those of WAL frames.
 */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Context, newSetup, resultOf, startProgram } from '../suite.ts'
import type { Place, Setup } from '../system.ts'
import { archiveFolder, restoreByCommand } from '../systems/archivedWalcast.ts'
import { verifySame } from '../systems/content.ts'
import { litestream, primaryPlace, replicaFolder, restoreReplica } from '../systems/litestream.ts'
import { walcast } from '../systems/walcast.ts'
import { bytesIn } from './backupPeers.ts'
import { type Figures, peerCases, type RestoreCase } from './restoreCase.ts'
import { removeFolder } from './restoreTime.ts'

const COMMITS_PER_HOUR = 72_000
const MAX_MB = 100
const TIMEOUT_MS = 7_200_000

export async function measureStorage(context: Context): Promise<RestoreCase[]> {
  const { hours, databaseMb } = context.options
  const name = `${hours} h, ${Math.round(hours * COMMITS_PER_HOUR)} commits`
  const mb = Math.min(MAX_MB, databaseMb)
  context.progress(`restore: storage, ${name}`)
  const ours = await measureWalcast(context, mb)
  const { walMb } = ours
  return [
    { system: walcast.name, part: 'storage', case: name, figures: ours, identical: true },
    ...(await peerCases(context, litestream.name, 'storage', name, () =>
      measureLitestream(context, mb, Number(walMb)),
    )),
  ]
}

async function measureWalcast(context: Context, mb: number): Promise<Figures> {
  const { processes, root, options } = context
  const setup = newSetup(context, 0)
  const db = join(setup.folder, 'source.db')
  const archive = archiveFolder(setup)
  mkdirSync(archive)
  const script = join(root, 'dist/bench/programs/archiveHours.js')
  const flags = ['--db', db, '--archive', archive, '--mb', String(mb)]
  const args = [...options.nodeArgs, script, ...flags, '--hours', String(options.hours)]
  const child = processes.start({ name: 'archive', file: process.execPath, args })
  const keys = ['walBytes', 'imageBytes', 'files', 'bytes', 'elapsedMs'] as const
  const { walBytes, imageBytes, files, bytes, elapsedMs } = await resultOf(child, TIMEOUT_MS, keys)
  const restored = join(setup.folder, 'restored.db')
  await restoreByCommand(setup, { place: archive }, restored)
  await verifySame(setup, [sqliteAt(db), sqliteAt(restored)])
  const kept = bytesIn(archive)
  if (kept < bytes) throw new Error(`the compactor tells of ${bytes} bytes, and ${kept} are there`)
  const figures = {
    databaseMb: statSync(db).size / 1e6,
    imageMb: imageBytes / 1e6,
    walMb: walBytes / 1e6,
    keptMb: kept / 1e6,
    keptFiles: files,
    ofImages: kept / imageBytes,
    ofWal: kept / walBytes,
    elapsedSeconds: elapsedMs / 1000,
  }
  await removeFolder(context, setup.folder)
  return figures
}

async function measureLitestream(context: Context, mb: number, walMb: number): Promise<Figures> {
  const setup = newSetup(context, 1)
  const { where } = primaryPlace(setup)
  const count = Math.round(context.options.hours * COMMITS_PER_HOUR)
  const args = ['--db', where, '--mb', String(mb), '--count', String(count)]
  const child = await startProgram(context, 'writer', { script: 'programs/orderWriter.js', args })
  const running = await litestream.start(setup)
  child.go()
  const { elapsedMs } = await resultOf(child, TIMEOUT_MS, ['elapsedMs'])
  await running.stop()
  const folder = replicaFolder(setup, 1)
  const figures = await keptBy(setup, folder, walMb)
  await removeFolder(context, setup.folder)
  return { ...figures, elapsedSeconds: elapsedMs / 1000 }
}

/** Its replica is what it keeps: restored and compared before it counts. */
async function keptBy(setup: Setup, folder: string, walMb: number): Promise<Figures> {
  const restored = await restoreReplica(setup, folder)
  await verifySame(setup, [primaryPlace(setup), restored])
  const keptMb = bytesIn(folder) / 1e6
  return { walMb, keptMb, ofWal: keptMb / walMb }
}

const sqliteAt = (where: string): Place => ({ client: 'sqlite', where })
