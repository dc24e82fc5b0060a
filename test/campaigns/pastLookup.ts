/**
 * What a lookup in the past costs: `node dist/test/campaigns/pastLookup.js FOLDER [MIB]` makes the
 * archive of a database of so many MiB (1024 unless told otherwise), with a hundred commits after
 * its snapshot, and times `walcast at` from nothing. It prints; it asserts nothing.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveFileWriter, type PageImage } from '../../src/backup/archiveFileWriter.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { programPath } from '../../src/programs.ts'
import { pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'

const PAGE_SIZE = 4096
const COMMITS = 100
const INCARNATION = '1111111111111111'
const HEADER: Omit<ArchiveHeader, 'kind' | 'fromTxid' | 'fromChecksum' | 'fromIncarnation'> = {
  cluster: 'cluster-a',
  db: 'main',
  incarnation: INCARNATION,
  epoch: 1,
  pageSize: PAGE_SIZE,
  codec: 'deflate',
  blockPages: 64,
  fromEpoch: 0,
  createdMs: 0,
  node: 'node-a',
  writer: 'test',
}
const ROWS_OF_A_MIB = 2000

function fill(path: string, mib: number): void {
  const db = new Database(path)
  db.pragma(`page_size = ${PAGE_SIZE}`)
  db.pragma('journal_mode = OFF')
  db.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, item TEXT, note TEXT)')
  const rows = `WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ?)
    INSERT INTO orders (customer, item, note)
    SELECT 'customer-' || (n * 7919 % 100003), hex(randomblob(30)),
      hex(randomblob(60)) || ' a note that many of them have in common, and that goes on like this '
      || hex(randomblob(40)) || ' and ends with the same words as all the others do' FROM s`
  const insert = db.prepare(rows)
  for (let done = 0; done < mib; done += 16) db.transaction(() => insert.run(16 * ROWS_OF_A_MIB))()
  db.exec('CREATE INDEX by_customer ON orders (customer)')
  db.pragma('journal_mode = WAL')
  db.close()
}

/** Reads the pages of a file one after another. */
function* pagesOf(path: string): Generator<PageImage, void, void> {
  const fd = openSync(path, 'r')
  const { size } = fstatSync(fd)
  const buffer = Buffer.alloc(PAGE_SIZE * 256)
  for (let at = 0; at < size; ) {
    const bytes = readSync(fd, buffer, 0, buffer.length, at)
    for (let i = 0; i < bytes; i += PAGE_SIZE)
      yield { number: (at + i) / PAGE_SIZE + 1, bytes: buffer.subarray(i, i + PAGE_SIZE) }
    at += bytes
  }
  closeSync(fd)
}

async function archive(path: string, store: DirectoryStore): Promise<void> {
  const sums: bigint[] = []
  let state = 0n
  for (const { number, bytes } of pagesOf(path)) {
    sums[number] = pageSum(number, bytes)
    state ^= sums[number]
  }
  const pages = sums.length - 1
  const whole = { part: 1, isLast: true }
  const point = (txid: number) => ({ txid, checksum: checksumHex(state), timeMs: txid, pages })
  const snapshot = { kind: 'snapshot', incarnation: INCARNATION, txid: 1, ...whole } as const
  await store.create(formatArchiveName(snapshot), async (append) => {
    const header = { ...HEADER, kind: 'snapshot', fromTxid: 0, fromChecksum: '' } as const
    const writer = await ArchiveFileWriter.begin({ ...header, fromIncarnation: '' }, append)
    await writer.add(point(1), pagesOf(path))
    await writer.end()
  })
  const db = new Database(path)
  const update = db.prepare('UPDATE orders SET note = ? WHERE id % 20011 = ?')
  for (let txid = 2; txid < 2 + COMMITS; txid++) {
    update.run(`changed by ${txid}`, txid)
    db.pragma('wal_checkpoint(TRUNCATE)')
    const changed: PageImage[] = []
    const fromChecksum = checksumHex(state)
    for (const { number, bytes } of pagesOf(path)) {
      const sum = pageSum(number, bytes)
      if (sum === sums[number]) continue
      state ^= sum ^ (sums[number] ?? 0n)
      sums[number] = sum
      changed.push({ number, bytes: Buffer.from(bytes) })
    }
    const [from, to] = [txid - 1, txid].map((each) => ({ incarnation: INCARNATION, txid: each }))
    const name = { kind: 'changes', level: 0, from, to, ...whole } as const
    await store.create(formatArchiveName(name), async (append) => {
      const header = { ...HEADER, kind: 'changes', fromTxid: txid - 1, fromChecksum } as const
      const writer = await ArchiveFileWriter.begin(
        { ...header, fromIncarnation: INCARNATION },
        append,
      )
      await writer.add(point(txid), changed)
      await writer.end()
    })
  }
  db.close()
}

function timed(folder: string, args: readonly string[]): void {
  const begun = performance.now()
  const all = [programPath('cli/main'), 'at', ...args, '--from', join(folder, 'archive')]
  const { stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' })
  const ms = Math.round(performance.now() - begun)
  const [answer = ''] = stdout.trim().split('\n').slice(-1)
  console.log(`${ms} ms  ${args.join(' ')}  ${answer.slice(0, 60)}  ${stderr.trim().slice(0, 200)}`)
}

const [folder, mib = '1024'] = process.argv.slice(2)
if (!existsSync(join(folder, 'archive'))) {
  fill(join(folder, 'source.db'), Number(mib))
  await archive(
    join(folder, 'source.db'),
    new DirectoryStore(join(folder, 'archive'), systemFileOps),
  )
}
for (const _ of [1, 2, 3]) timed(folder, ['newest', 'SELECT * FROM orders WHERE id = 20013'])
timed(folder, ['50', 'SELECT * FROM orders WHERE id = 1234567'])
timed(folder, ['50', "SELECT count(*), max(item) FROM orders WHERE customer = 'customer-77'"])
timed(folder, ['50', 'SELECT count(note) FROM orders', '--timeout', '10m'])
timed(folder, ['50', 'SELECT 1', '--prove'])
