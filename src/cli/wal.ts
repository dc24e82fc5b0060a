/**
 * `walcast wal FILE`: a WAL and its wal-index, for a person. It reads the files themselves and
 * never opens the database with SQLite, so that it takes no lock, recovers nothing and removes
 * nothing, whatever state they are in.
 */
import { WalcastError } from '../errors.ts'
import { readSync } from '../platform/files.ts'
import { type HeldLock, lockNames, locksOf, showsEveryLock } from '../sqlite/lockTable.ts'
import { processName } from '../sqlite/longReaders.ts'
import { closeWalFiles, type LookedAt, openWalFiles, type WalFiles } from '../sqlite/walFiles.ts'
import type { WalHeader } from '../sqlite/walFormat.ts'
import { viewWalIndex } from '../sqlite/walIndexView.ts'
import {
  type EndView,
  type RemainsView,
  type TransactionView,
  viewRemains,
  viewWalHeader,
  type WalHeaderView,
  WalScan,
} from '../sqlite/walScan.ts'
import { parseAll } from './commandArguments.ts'
import { DataOutput } from './dataOutput.ts'
import { showHelp } from './helpOutput.ts'
import { countOf } from './pastArguments.ts'
import { jsonLine } from './queryCommand.ts'
import { lookOf } from './terminalLook.ts'
import {
  frameLine,
  isDamaged,
  type LockView,
  publishedFrames,
  type WalReport,
  walText,
} from './walText.ts'

const DEFAULT_LIMIT = 20
/** A writer that is that fast is not waited for. */
const MAX_LOOKS = 5

const HELP = `walcast wal FILE [--frames] [--limit N] [--json]

Shows a write-ahead log and its wal-index. FILE is a database, its -wal or its -shm, or a copy of
one of them. It shows the header, salts and checksums, the transactions with their frames, the last
frame that is valid, what lies behind it, both copies of the header of the wal-index, how far it is
backfilled, read marks, and locks where the system tells them.

It reads the files alone: SQLite does not open them, and nothing is changed. Other programs may
write meanwhile; frames that come after the start are not looked at.

  --frames    print each frame: its number, its page, and where a transaction ends
  --limit N   show the last N transactions [${DEFAULT_LIMIT}]; --json prints all
  --json      print JSON lines: files, header, transactions, end, what is behind, wal-index, locks

Exit code: 1 when the header is damaged, or when frames that the wal-index publishes are.
`

export const FLAGS = {
  help: { type: 'boolean' },
  frames: { type: 'boolean' },
  limit: { type: 'string' },
  json: { type: 'boolean' },
} as const

interface Wanted {
  readonly frames: boolean
  readonly isJson: boolean
  readonly limit: number
}

export async function runWal(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseAll(args, FLAGS)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const [path, extra] = positionals
  if (path === undefined || extra !== undefined)
    throw new WalcastError('USAGE', { detail: 'wal takes one FILE' })
  const limit = countOf('--limit', values.limit) ?? DEFAULT_LIMIT
  const { frames = false, json: isJson = false } = values
  const files = openWalFiles(path)
  try {
    return await show(files, { frames, isJson, limit })
  } finally {
    closeWalFiles(files)
  }
}

async function show(files: WalFiles, wanted: Wanted): Promise<number> {
  const output = new DataOutput(process.stdout)
  const print = (text: string) => output.write(text)
  const header = files.wal && viewWalHeader(files.wal.fd)
  const head = { database: databaseOf(files), wal: fileOf(files.wal), shm: fileOf(files.shm) }
  if (wanted.isJson) await print(jsonLine({ type: 'files', ...head }) + headerJson(header))
  const last: TransactionView[] = []
  let end: EndView | undefined
  const scan = files.wal && header?.header && new WalScan(files.wal.fd, header.header)
  for (const view of scan?.views() ?? []) {
    if (view.type === 'end') end = view
    if (view.type === 'transaction' && last.push(view) > wanted.limit) last.shift()
    if (view.type === 'frame' && !wanted.frames) continue
    const text = wanted.isJson ? jsonLine(view) : view.type === 'frame' ? frameLine(view) : ''
    if (text !== '' && !(await print(text))) return 0
  }
  const report = { ...head, header, end, ...behindOf(files, header, scan) }
  await print(
    wanted.isJson ? tailJson(report) : walText(report, last, lookOf(process.stdout, process.env)),
  )
  await output.end()
  return isDamaged(report) ? 1 : 0
}

type Behind = Omit<WalReport, 'database' | 'wal' | 'shm' | 'header' | 'end'>

/** What lies behind the frames that were read, and beside them. */
function behindOf(
  { database, wal, shm }: WalFiles,
  header: WalHeaderView | undefined,
  scan: WalScan | undefined,
): Behind {
  const index = shm && viewWalIndex(shm.fd)
  const published = publishedFrames(header, index)
  const reached = published === undefined ? undefined : scan?.reach(published)
  // A WAL starts over in the wal-index first: frames that it still publishes must be there.
  const still = publishedFrames(header, shm && viewWalIndex(shm.fd))
  return {
    index,
    reached,
    hasStartedOver: scan?.hasStartedOver() === true || (still ?? 0) < (published ?? 0),
    remains: wal && header?.header && scan && remainsOf(wal, header.header, scan),
    locks: shm && locksIn(shm),
    openBy: database && openBy(database),
    seesEveryLock: showsEveryLock(),
  }
}

/** Frames that come while it looks are not left over. */
function remainsOf(wal: LookedAt, header: WalHeader, scan: WalScan): RemainsView {
  for (let look = 1; ; look++) {
    const from = scan.reachEnd()
    const remains = viewRemains(wal.fd, header, from)
    if (look === MAX_LOOKS || scan.reachEnd() === from) return remains
  }
}

function fileOf(file: LookedAt | undefined): { path: string; bytes: number } | undefined {
  return file && { path: file.path, bytes: file.bytes }
}

/** What its header says; nothing where it is too short for one. */
function databaseOf({ database }: WalFiles): WalReport['database'] {
  if (!database) return undefined
  const { path, bytes, fd } = database
  const head = Buffer.alloc(100)
  if (readSync(fd, head, 0, head.length, 0) < head.length) return { path, bytes }
  if (head.toString('latin1', 0, 15) !== 'SQLite format 3') return { path, bytes }
  const size = head.readUInt16BE(16)
  return { path, bytes, pageSize: size === 1 ? 65536 : size, isWalMode: head[18] === 2 }
}

/** Undefined where the system does not tell. */
function locksIn(shm: LookedAt): LockView[] | undefined {
  return locksOf(shm)?.map((lock) => ({ ...holderOf(lock), names: lockNames(lock) }))
}

/** A connection in WAL mode holds a shared lock on the database file. */
function openBy(database: LookedAt): Omit<LockView, 'names'>[] | undefined {
  const holders = locksOf(database)?.map(holderOf)
  return holders?.filter(({ pid }, i) => holders.findIndex((other) => other.pid === pid) === i)
}

function holderOf({ pid, exclusive }: HeldLock): Omit<LockView, 'names'> {
  return { pid, process: pid > 0 ? processName(pid) : '?', exclusive }
}

function headerJson(header: WalHeaderView | undefined): string {
  if (!header) return ''
  const { header: valid, ...seen } = header
  return jsonLine({ type: 'header', isValid: valid !== undefined, ...seen })
}

function tailJson(report: WalReport): string {
  const { remains, index, locks, openBy, seesEveryLock, hasStartedOver } = report
  return [
    ...(remains ? [{ type: 'behind', ...remains }] : []),
    ...(index ? [{ type: 'index', ...index }] : []),
    { type: 'locks', seesEveryLock, locks: locks ?? null, openBy: openBy ?? null },
    { type: 'verdict', isDamaged: isDamaged(report), hasStartedOver },
  ]
    .map(jsonLine)
    .join('')
}
