/** A real database under random transactions, and what each of them changed in its pages. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'

export const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] as const

/** One transaction. Its numbers are arbitrary; `apply` fits them to the database. */
export type Change =
  | { readonly kind: 'insert'; readonly rows: number; readonly bytes: number }
  | { readonly kind: 'update'; readonly every: number; readonly bytes: number }
  | { readonly kind: 'delete'; readonly every: number }
  | { readonly kind: 'table'; readonly name: number }
  | { readonly kind: 'incremental'; readonly pages: number }
  | { readonly kind: 'vacuum' }

export const changeArbitrary: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('insert' as const),
      rows: fc.integer({ min: 1, max: 60 }),
      bytes: fc.nat(900),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      every: fc.integer({ min: 1, max: 9 }),
      bytes: fc.nat(900),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      every: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('table' as const), name: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('incremental' as const),
      pages: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'vacuum' as const }) },
)

/** A page and its image. */
export interface Page {
  readonly number: number
  readonly image: Buffer
}

/** A folder of its own below the system's temporary one. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'walcast-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/**
 * Copies a database with its `-wal`, and its `-shm` if `withIndex`, as a crash would leave it. By
 * another process: opening and closing the files here would drop this process's locks on them.
 */
export function copyDatabase(path: string, folder: string, withIndex: boolean): string {
  const files = [path, `${path}-wal`, ...(withIndex ? [`${path}-shm`] : [])]
  const target = mkdtempSync(join(folder, 'copy-'))
  execFileSync('cp', [...files, target])
  return join(target, path.slice(path.lastIndexOf('/') + 1))
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** What a better-sqlite3 connection sees. */
export function lookThrough(
  db: Database.Database,
  check = true,
): { sha256: string; integrity: string } {
  const integrity = check
    ? (db.pragma('integrity_check') as { integrity_check: string }[])
        .map((row) => row.integrity_check)
        .join('\n')
    : ''
  return { sha256: sha256(db.serialize()), integrity }
}

/** Opens a database anew, looks, and closes. */
export function lookAt(path: string): { sha256: string; integrity: string } {
  const db = new Database(path, { timeout: 0 })
  try {
    return lookThrough(db)
  } finally {
    db.close()
  }
}

export class SourceDatabase {
  readonly path: string
  readonly pageSize: number
  readonly db: Database.Database
  #random: number

  /** `autocheckpoint` is in frames; 0 leaves the WAL to the caller. */
  constructor(path: string, pageSize: number, autocheckpoint = 0) {
    this.path = path
    this.pageSize = pageSize
    this.#random = pageSize
    this.db = new Database(path, { timeout: 0 })
    this.db.pragma('synchronous = OFF')
    this.db.pragma(`page_size = ${pageSize}`)
    this.db.pragma('auto_vacuum = INCREMENTAL')
    this.db.pragma('journal_mode = WAL')
    this.db.pragma(`wal_autocheckpoint = ${autocheckpoint}`)
    this.db.exec(
      'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, v BLOB); CREATE INDEX t_n ON t (n, id)',
    )
  }

  get pages(): number {
    return this.db.pragma('page_count', { simple: true }) as number
  }

  /** The whole database as SQLite reads it now. */
  image(): Buffer {
    return this.db.serialize()
  }

  /** Runs one transaction. */
  apply(change: Change): void {
    switch (change.kind) {
      case 'insert':
        return this.insert(change.rows, change.bytes)
      case 'update':
        this.db
          .prepare('UPDATE t SET n = n + 1, v = ? WHERE id % ? = 0')
          .run(this.#blob(change.bytes), change.every)
        return
      case 'delete':
        this.db.prepare('DELETE FROM t WHERE id % ? = 0').run(change.every)
        return
      case 'table': {
        const name = `extra${change.name}`
        const there = this.db.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(name)
        this.db.exec(
          there ? `DROP TABLE ${name}` : `CREATE TABLE ${name} AS SELECT id, v FROM t LIMIT 30`,
        )
        return
      }
      case 'incremental':
        this.db.pragma(`incremental_vacuum(${change.pages})`)
        return
      case 'vacuum':
        this.db.exec('VACUUM')
    }
  }

  /** Adds `rows` rows of `bytes` bytes in one transaction. */
  insert(rows: number, bytes: number): void {
    const statement = this.db.prepare('INSERT INTO t (n, v) VALUES (?, ?)')
    this.db.transaction(() => {
      for (let i = 0; i < rows; i++) statement.run(this.#next() % 1000, this.#blob(bytes))
    })()
  }

  close(): void {
    this.db.close()
  }

  #next(): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
    return this.#random
  }

  #blob(bytes: number): Buffer {
    const blob = Buffer.alloc(bytes)
    for (let i = 0; i < bytes; i++) blob[i] = i % 16 === 0 ? this.#next() >>> 24 : i
    return blob
  }
}

/** The pages of image `after` that differ from `before`. */
export function changedPages(before: Buffer, after: Buffer, pageSize: number): Page[] {
  const pages: Page[] = []
  for (let at = 0; at < after.length; at += pageSize) {
    const image = after.subarray(at, at + pageSize)
    if (at + pageSize <= before.length && image.equals(before.subarray(at, at + pageSize))) continue
    pages.push({ number: at / pageSize + 1, image })
  }
  return pages
}

/**
 * The checksum as walformat.html defines it: 32-bit words in the given order, in numbers that never
 * overflow.
 */
export function documentedChecksum(
  bytes: Buffer,
  bigEndian: boolean,
  from: readonly [number, number],
): [number, number] {
  let [s0, s1] = from
  for (let at = 0; at < bytes.length; at += 8) {
    s0 = (s0 + (bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + s1) % 2 ** 32
    s1 = (s1 + (bigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + s0) % 2 ** 32
  }
  return [s0, s1]
}

/** The same WAL as a machine of the other byte order would have written it. */
export function toBigEndian(wal: Buffer, pageSize: number): Buffer {
  const bytes = Buffer.from(wal)
  const put = (sum: readonly [number, number], at: number) => {
    bytes.writeUInt32BE(sum[0], at)
    bytes.writeUInt32BE(sum[1], at + 4)
  }
  bytes.writeUInt32BE(0x377f0683, 0)
  let sum = documentedChecksum(bytes.subarray(0, 24), true, [0, 0])
  put(sum, 24)
  for (let at = 32; at + (24 + pageSize) <= bytes.length; at += 24 + pageSize) {
    sum = documentedChecksum(bytes.subarray(at, at + 8), true, sum)
    sum = documentedChecksum(bytes.subarray(at + 24, at + (24 + pageSize)), true, sum)
    put(sum, at + 16)
  }
  return bytes
}
