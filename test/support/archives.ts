/** Archives of real databases: what a file was after some commits, and files that hold it. */
import { readFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveFileWriter, type PageImage } from '../../src/backup/archiveFileWriter.ts'
import type { RecentKeys } from '../../src/backup/recentKeys.ts'
import type { Store } from '../../src/backup/stores/store.ts'
import type { BackupRecipient } from '../../src/security/backupKeys.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'

export const ONE = '1111111111111111'
export const TWO = '2222222222222222'
export const FIRST = 100
/** The whole database at one txid. */
export interface State {
  readonly txid: number
  readonly bytes: Buffer
  readonly checksum: string
  /** When it was committed; its txid unless told otherwise. */
  readonly timeMs?: number
}

/** Commits that grow, shrink, rewrite and reshape a database. */
const STEPS = [
  'CREATE TABLE a (id INTEGER PRIMARY KEY, b); INSERT INTO a (b) VALUES (1)',
  `INSERT INTO a (b) SELECT randomblob(900) FROM generate`,
  'UPDATE a SET b = randomblob(50) WHERE id % 7 = 0',
  'CREATE INDEX by_b ON a (b)',
  'DELETE FROM a WHERE id > 20',
  'VACUUM',
  'ALTER TABLE a ADD COLUMN c DEFAULT 5',
  `INSERT INTO a (b) SELECT zeroblob(3000) FROM generate`,
]
const GENERATE =
  'CREATE TEMP VIEW generate AS WITH RECURSIVE s (n) AS ' +
  '(SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 60) SELECT n FROM s'

/** `path`: of a new database, which is made. `steps`: SQL of one commit each. */
export function statesOf(
  path: string,
  pageSize: number,
  steps: readonly string[] = STEPS,
): State[] {
  const db = new Database(path)
  db.pragma(`page_size = ${pageSize}`)
  db.pragma('journal_mode = WAL')
  db.exec(GENERATE)
  const states = steps.map((sql, i) => {
    db.exec(sql)
    db.pragma('wal_checkpoint(TRUNCATE)')
    const bytes = readFileSync(path)
    return { txid: FIRST + i, bytes, checksum: checksumOf(bytes, pageSize) }
  })
  db.close()
  return states
}

export function pagesOf(bytes: Buffer, pageSize: number): PageImage[] {
  return Array.from({ length: bytes.length / pageSize }, (_, i) => ({
    number: i + 1,
    bytes: bytes.subarray(i * pageSize, (i + 1) * pageSize),
  }))
}

export function checksumOf(bytes: Buffer, pageSize: number): string {
  const sums = new PageSums(pageSize)
  for (const page of pagesOf(bytes, pageSize))
    sums.set(page.number, pageSum(page.number, page.bytes))
  return checksumHex(sums.state)
}

/** The pages of `now` that differ from `before`. */
export function changed(before: State, now: State, pageSize: number): PageImage[] {
  const old = pagesOf(before.bytes, pageSize)
  return pagesOf(now.bytes, pageSize).filter(
    ({ bytes }, i) => i >= old.length || Buffer.compare(old[i].bytes, bytes) !== 0,
  )
}

export interface Piece {
  readonly about: Partial<ArchiveHeader>
  readonly points: readonly (readonly [State, readonly PageImage[]])[]
  readonly continues?: boolean
  readonly isOpen?: boolean
  readonly recipients?: readonly BackupRecipient[] | undefined
  readonly keys?: RecentKeys | undefined
  /** Time of a position, ms since 1970; the txid itself without it. */
  timeOf?(txid: number): number
}

export async function fileOf(pageSize: number, piece: Piece): Promise<Buffer> {
  const { about, points, continues = false, isOpen = false, timeOf = (txid) => txid } = piece
  const header: ArchiveHeader = {
    kind: 'changes',
    cluster: 'cluster-a',
    db: 'main',
    incarnation: ONE,
    epoch: 1,
    pageSize,
    codec: 'deflate',
    blockPages: 4,
    fromIncarnation: ONE,
    fromEpoch: 1,
    fromTxid: 0,
    fromChecksum: '',
    createdMs: 0,
    node: 'node-a',
    writer: 'test',
    ...about,
  }
  const pieces: Buffer[] = []
  const append = async (bytes: Buffer) => void pieces.push(Buffer.from(bytes))
  const writer = await ArchiveFileWriter.begin(header, append, piece.recipients, piece.keys)
  for (const [{ txid, checksum, bytes, timeMs = timeOf(txid) }, images] of points)
    await writer.add({ txid, checksum, timeMs, pages: bytes.length / pageSize }, images)
  await writer.end({ continues, isOpen })
  return Buffer.concat(pieces)
}

/** A snapshot of the first state, and two files of changes: the second is of a new incarnation. */
export async function archiveOf(states: readonly State[], pageSize: number): Promise<Buffer[]> {
  const [first] = states
  const half = Math.floor(states.length / 2)
  const run = (from: number, to: number, incarnation: string) =>
    fileOf(pageSize, {
      about: {
        incarnation,
        fromTxid: states[from].txid,
        fromChecksum: states[from].checksum,
      },
      points: states
        .slice(from + 1, to + 1)
        .map((state, i) => [state, changed(states[from + i], state, pageSize)]),
    })
  const snapshot = await fileOf(pageSize, {
    about: { kind: 'snapshot', fromIncarnation: '', fromEpoch: 0 },
    points: [[first, pagesOf(first.bytes, pageSize)]],
  })
  return [snapshot, await run(0, half, ONE), await run(half, states.length - 1, TWO)]
}

/** Puts the files of `archiveOf` into a store, with the names that they have there. */
export async function storeArchive(
  store: Store,
  states: readonly State[],
  pageSize: number,
): Promise<void> {
  const half = Math.floor(states.length / 2)
  const [first, middle, last] = [states[0], states[half], states[states.length - 1]]
  const whole = { part: 1, isLast: true }
  const names: ArchiveName[] = [
    { kind: 'snapshot', incarnation: ONE, txid: first.txid, ...whole },
    {
      kind: 'changes',
      level: 0,
      from: { incarnation: ONE, txid: first.txid },
      to: { incarnation: ONE, txid: middle.txid },
      ...whole,
    },
    {
      kind: 'changes',
      level: 0,
      from: { incarnation: ONE, txid: middle.txid },
      to: { incarnation: TWO, txid: last.txid },
      ...whole,
    },
  ]
  const files = await archiveOf(states, pageSize)
  for (const [i, name] of names.entries())
    await store.create(formatArchiveName(name), (append) => append(files[i]))
}
