/**
 * Opens the database that a node is to lead: its files, the record of positions, the write fence
 * and the read guard. From then on no frame leaves the WAL unread.
 */
import type { SeenHistory } from '../feed/seenHistory.ts'
import { closeSync } from '../platform/files.ts'
import {
  adoptDatabase,
  type DatabaseFiles,
  requireSafeHost,
  requireSoundSchema,
} from '../sqlite/databaseFiles.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { PositionLog } from '../sqlite/positionLog.ts'
import { ReadGuard } from '../sqlite/readGuard.ts'
import { close, type SqliteThread, type Step } from '../sqlite/sqliteThread.ts'
import { Checkpointer } from './checkpointer.ts'
import type { LeaderOptions } from './leaderOptions.ts'
import { askBeforeLeading } from './startup.ts'
import { WriteFence } from './writeFence.ts'

export interface OpenDatabase {
  readonly thread: SqliteThread
  readonly files: DatabaseFiles
  readonly positions: PositionLog
  readonly fence: WriteFence
  readonly guard: ReadGuard
}

export interface OpenedToLead {
  readonly open: OpenDatabase
  /** What other nodes have seen of this node's own history. */
  readonly seen: readonly SeenHistory[]
}

/** Throws the catalogue's start-up errors. `thread` stays the caller's. */
export async function openToLead(
  options: LeaderOptions,
  thread: SqliteThread,
): Promise<OpenedToLead> {
  const { path, log } = options
  await requireSafeHost(thread)
  const files = await adoptDatabase(thread, path, (mode) =>
    log.info({ path, from: mode }, 'switched the database to WAL mode'),
  )
  const fence = new WriteFence(thread, path)
  const seen = await askBeforeLeading(fence, files, options).catch((error) => {
    closeSync(files.walFd)
    throw error
  })
  await requireSoundSchema(thread, path)
  const positions = new PositionLog(`${options.stateFolder}/positions`, options.ops)
  return { open: { thread, files, positions, fence, guard: await guarded(thread, files) }, seen }
}

/** Guards a database whose write lock this process holds. */
export async function openHeld(
  { path }: LeaderOptions,
  thread: SqliteThread,
  { files, positions }: HeldDatabase,
): Promise<OpenDatabase> {
  const fence = new WriteFence(thread, path, true)
  return { thread, files, positions, fence, guard: await guarded(thread, files) }
}

/** Closes the connections of guard and checkpoints. */
export function closeOwn(): readonly Step[] {
  return [...ReadGuard.connections, ...Checkpointer.connections].map(close)
}

async function guarded(thread: SqliteThread, files: DatabaseFiles): Promise<ReadGuard> {
  const guard = await ReadGuard.begin(thread, files.path, files.shm)
  await Checkpointer.openConnections(thread, files.path)
  return guard
}
