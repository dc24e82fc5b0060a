/**
 * The archive of `--hours` of 20 commits a second, made as fast as it goes.
 *
 * Commits are real ones of SQLite, and so are their page images, which are taken from the WAL. The
 * code that a node has makes files of them, ten commits a file, as of two files a second. After
 * each minute of the commits' time a round of the real compactor runs, with that time as its clock
 * and the default policy. Left out are the node, its log of batches and all syncs, which change no
 * byte of what is kept. It says what is kept after the last round.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveCompactor } from '../../src/backup/archiveCompactor.ts'
import {
  ArchiveFileWriter,
  type PageImage,
  type PointOf,
} from '../../src/backup/archiveFileWriter.ts'
import type { Stand } from '../../src/backup/batchRecord.ts'
import { SNAPSHOT_BOUNDS } from '../../src/backup/compaction/dueSnapshot.ts'
import { type FileMark, headerOf } from '../../src/backup/fileHeader.ts'
import { type PlaceFile, placingIn } from '../../src/backup/placedFile.ts'
import { storeSnapshot } from '../../src/backup/snapshotFile.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { DEFAULT_KEEP, parseKeep } from '../../src/options/keepPolicy.ts'
import { type FileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'
import { OrderTraffic, PAGE_BYTES } from '../orderTraffic.ts'
import { WalTail } from '../walTail.ts'
import { Flags, report } from './program.ts'

const COMMITS_PER_SECOND = 20
const COMMIT_MS = 1000 / COMMITS_PER_SECOND
const COMMITS_OF_FILE = 10
const COMMITS_OF_MINUTE = 60 * COMMITS_PER_SECOND
/** As SQLite's own autocheckpoint. */
const WAL_BYTES = 1000 * PAGE_BYTES
const START_MS = Date.UTC(2026, 0, 5)
const INCARNATION = '1'.repeat(16)
/** After the last commit: each round does a bounded part of what is due. */
const LAST_ROUNDS = 5

/** Nothing has to survive a crash. */
const OPS: FileOps = {
  ...systemFileOps,
  syncAside: async () => {},
  publish: (from, to) => renameSync(from, to),
  erase: (_, name) => rmSync(name, { recursive: true, force: true }),
}
const MARK: FileMark = {
  ...{ cluster: 'bench', db: 'main', node: 'bench', writer: 'walcast bench', codec: 'brotli' },
  ...{ createdMs: START_MS, recipients: undefined },
}

type Point = readonly [PointOf, readonly PageImage[]]

class ArchivedHours {
  readonly #db: Database.Database
  readonly #tail: WalTail
  readonly #sums: PageSums
  readonly #place: PlaceFile
  readonly #compactor: ArchiveCompactor
  #at: Stand
  #points: Point[] = []
  #nowMs = START_MS
  walBytes = 0
  imageBytes = 0
  files = 0
  bytes = 0

  constructor(path: string, archive: string, db: Database.Database) {
    this.#db = db
    this.#tail = new WalTail(path, PAGE_BYTES)
    this.#sums = new PageSums(PAGE_BYTES)
    this.#at = { incarnation: INCARNATION, epoch: 1, txid: 1, checksum: '' }
    const store = new DirectoryStore(archive, OPS)
    this.#place = placingIn(store, MARK.cluster, {
      isGivenUp: () => false,
      isUnsound: () => false,
      onWritten: () => {},
      onReplaced() {},
    })
    this.#compactor = new ArchiveCompactor(
      store,
      { nowMs: () => this.#nowMs },
      {
        ...{ keep: parseKeep(DEFAULT_KEEP), snapshots: SNAPSHOT_BOUNDS },
        ...{ node: MARK.node, writer: MARK.writer },
      },
    )
  }

  /** Archives the database as it is: a snapshot. `path`: of a file that is made for it. */
  async begin(path: string): Promise<void> {
    const image = this.#db.serialize()
    writeFileSync(path, image)
    const pages = image.length / PAGE_BYTES
    for (let i = 0; i < pages; i++)
      this.#put(i + 1, image.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES))
    this.#at = { ...this.#at, checksum: this.#settled() }
    const taken = { at: this.#at, timeMs: START_MS, pages, pageSize: PAGE_BYTES, path }
    await storeSnapshot(this.#place, taken, MARK)
    rmSync(path)
  }

  /** Takes in the commit that was just made. */
  async add(): Promise<void> {
    this.#nowMs += COMMIT_MS
    const { images, dbPages, walBytes } = this.#tail.next()
    this.walBytes += walBytes
    this.imageBytes += images.size * PAGE_BYTES
    this.#sums.resize(dbPages)
    for (const [page, bytes] of images) this.#put(page, bytes)
    const point: PointOf = {
      txid: this.#at.txid + this.#points.length + 1,
      checksum: this.#settled(),
      timeMs: this.#nowMs,
      pages: dbPages,
    }
    const sorted = [...images].sort(([a], [b]) => a - b)
    this.#points.push([point, sorted.map(([number, bytes]) => ({ number, bytes }))])
    if (this.#points.length === COMMITS_OF_FILE) await this.write()
    if (this.#tail.bytes < WAL_BYTES) return
    this.#db.pragma('wal_checkpoint(TRUNCATE)')
    this.#tail.restart()
  }

  async write(): Promise<void> {
    const points = this.#points
    const last = points.at(-1)?.[0]
    if (!last) return
    const from = this.#at
    const to = { ...from, txid: last.txid, checksum: last.checksum }
    const header = headerOf(MARK, { kind: 'changes', at: to, from, pageSize: PAGE_BYTES })
    const whole = { level: 0, part: 1, isLast: true }
    const name = formatArchiveName({ kind: 'changes', from, to, ...whole })
    await this.#place(name, to, async (append) => {
      const writer = await ArchiveFileWriter.begin(header, append)
      for (const [point, images] of points) await writer.add(point, images)
      await writer.end()
    })
    this.#at = to
    this.#points = []
  }

  async compact(): Promise<void> {
    const { problems, files, bytes } = await this.#compactor.run(new AbortController().signal)
    const [problem] = problems
    if (problem) throw problem
    this.files = files
    this.bytes = bytes
  }

  close(): void {
    this.#tail.close()
  }

  #put(page: number, bytes: Uint8Array): void {
    this.#sums.set(page, pageSum(page, bytes))
  }

  #settled(): string {
    this.#sums.settle()
    return checksumHex(this.#sums.state)
  }
}

const flags = new Flags(['db', 'archive', 'mb', 'hours'])
const path = flags.text('db')
const commits = Math.round(flags.number('hours') * 3600 * COMMITS_PER_SECOND)
const db = new Database(path)
db.pragma(`page_size = ${PAGE_BYTES}`)
db.pragma('journal_mode = WAL')
db.pragma('synchronous = OFF')
const traffic = new OrderTraffic(db, flags.number('mb'))
db.pragma('wal_autocheckpoint = 0')
db.pragma('wal_checkpoint(TRUNCATE)')
const fromMs = performance.now()
const archived = new ArchivedHours(path, flags.text('archive'), db)
await archived.begin(`${path}-snapshot`)
for (let number = 1; number <= commits; number++) {
  traffic.commit(number)
  await archived.add()
  if (number % COMMITS_OF_MINUTE === 0) await archived.compact()
}
await archived.write()
for (let round = 0; round < LAST_ROUNDS; round++) await archived.compact()
archived.close()
db.close()
const { walBytes, imageBytes, files, bytes } = archived
report({
  ...{ commits, walBytes, imageBytes, files, bytes },
  elapsedMs: performance.now() - fromMs,
})
