/**
 * Backup and restore by peers, of equal data: `--mb` in rows that fill a page (PostgreSQL: half of
 * one), then `--transactions`.
 *
 * - `backupSeconds`: Litestream: until its first snapshot is there. PostgreSQL: pg_basebackup.
 * - `seconds`: Litestream: its command `restore`. PostgreSQL: a copy of the base backup, synced,
 *   and a server that replays the WAL until it takes writes.
 * - `archiveMb`: what is kept for that.
 *
 * Neither checks what it restored as SQLite's integrity check does.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pause } from '../processes.ts'
import { type Context, newSetup } from '../suite.ts'
import { verifySame } from '../systems/content.ts'
import { litestream, primaryPlace, replicaFolder, restoreReplica } from '../systems/litestream.ts'
import { postgres, startPrimary } from '../systems/postgres.ts'
import {
  commitMany,
  contentOf,
  endReceiver,
  fillPages,
  restoreBase,
  startReceiver,
  takeBaseBackup,
} from '../systems/postgresBackup.ts'
import { secondsOf } from './largeNodes.ts'
import { type Figures, peerCases, type RestoreCase } from './restoreCase.ts'
import { commit, removeFolder } from './restoreTime.ts'

const SNAPSHOT_TIMEOUT_MS = 300_000
const LOOK_MS = 20
/** Commits a second that no disk reaches: as many as go. */
const UNPACED = 1_000_000
/** Litestream 0.5 has another format. npm has its VFS alone, nothing that replicates a file. */
const NO_LITESTREAM_05 =
  'npm has its SQLite VFS (litestream-vfs 0.5.17) and no program that replicates or restores a file'

export async function measurePeerRestores(context: Context): Promise<RestoreCase[]> {
  const ofLitestream = await peerCases(context, litestream.name, 'restore', 'its command', () =>
    restoreLitestream(context),
  )
  const ofPostgres = await peerCases(context, postgres.name, 'restore', 'base and WAL', () =>
    restorePostgres(context),
  )
  const missing: RestoreCase = {
    ...{ system: 'litestream 0.5', part: 'restore', case: 'its command' },
    ...{ figures: {}, identical: null, skipped: NO_LITESTREAM_05 },
  }
  return [...ofLitestream, ...ofPostgres, ...(ofLitestream.length > 0 ? [missing] : [])]
}

async function restoreLitestream(context: Context): Promise<Figures> {
  const setup = newSetup(context, 1)
  await litestream.prepare(setup, 'pages', context.options.databaseMb)
  const folder = replicaFolder(setup, 1)
  const fromMs = performance.now()
  const running = await litestream.start(setup)
  await whenSnapshot(folder)
  const backupSeconds = (performance.now() - fromMs) / 1000
  await commit(context, running.primary, setup, UNPACED)
  // On its way out it copies what it lacks.
  await running.stop()
  const seconds = await secondsOf(() => restoreReplica(setup, folder))
  const restored = { client: 'sqlite', where: `${folder}-restored.db` } as const
  await verifySame(setup, [primaryPlace(setup), restored])
  const figures = { archiveMb: bytesIn(folder) / 1e6, backupSeconds, seconds }
  await removeFolder(context, setup.folder)
  return figures
}

/** Of the first generation: it has its name once it is whole. */
async function whenSnapshot(folder: string): Promise<void> {
  const deadlineMs = performance.now() + SNAPSHOT_TIMEOUT_MS
  while (!namesIn(folder).some((name) => name.endsWith('.snapshot.lz4'))) {
    if (performance.now() > deadlineMs) throw new Error('Litestream makes no snapshot')
    await pause(LOOK_MS)
  }
}

async function restorePostgres(context: Context): Promise<Figures> {
  const { databaseMb, transactions } = context.options
  const setup = newSetup(context, 0)
  const server = await startPrimary(setup, 'asynchronous')
  await fillPages(server, databaseMb)
  const receiver = await startReceiver(setup, server)
  const backupSeconds = await secondsOf(() => takeBaseBackup(setup, server))
  await commitMany(server, transactions)
  const content = await contentOf(server)
  const wal = await endReceiver(setup, server, receiver)
  const archiveMb = (bytesIn(join(setup.folder, 'base')) + bytesIn(wal)) / 1e6
  let restored = server
  const seconds = await secondsOf(async () => {
    restored = await restoreBase(setup, wal)
  })
  if ((await contentOf(restored)) !== content)
    throw new Error('the restored database differs from its source')
  await restored.child.stop()
  await removeFolder(context, setup.folder)
  return { archiveMb, backupSeconds, seconds }
}

/** Of all files below a folder. */
export function bytesIn(folder: string): number {
  return namesIn(folder).reduce((sum, name) => {
    const about = statSync(join(folder, name), { throwIfNoEntry: false })
    return about?.isFile() ? sum + about.size : sum
  }, 0)
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
}
