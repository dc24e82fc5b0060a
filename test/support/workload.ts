/**
 * The database on which the tests' writers, readers and checkers agree, and the processes that work
 * on it.
 */
import assert from 'node:assert/strict'
import type { Child } from './child.ts'
import type { Lab } from './lab.ts'

const ACCOUNTS = 100
const BALANCE = 1000

export interface Shape {
  readonly pageSize?: number
  readonly journalMode?: 'wal' | 'delete' | 'truncate' | 'persist'
  readonly autoVacuum?: 'none' | 'full' | 'incremental'
  /** Rows of the table `mixed` to begin with, of half a page each. */
  readonly rows?: number
}

/** The invariant of every writer: see py/reader.py. */
export const TOTAL = ACCOUNTS * BALANCE

/**
 * Makes the database: accounts whose sum never changes, a log whose ids never go back, rows of all
 * sizes with an index.
 */
export async function makeDatabase(lab: Lab, path: string, shape: Shape = {}): Promise<void> {
  const { pageSize = 4096, journalMode = 'wal', autoVacuum = 'none', rows = 100 } = shape
  await lab.prepare(
    path,
    `PRAGMA page_size=${pageSize}`,
    `PRAGMA auto_vacuum=${autoVacuum}`,
    `PRAGMA journal_mode=${journalMode}`,
    'BEGIN',
    'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)',
    'CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, who TEXT, body BLOB)',
    'CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER)',
    'CREATE TABLE mixed (id INTEGER PRIMARY KEY, grp INTEGER, body BLOB)',
    'CREATE INDEX mixed_grp ON mixed (grp)',
    numbers(ACCOUNTS, `INSERT INTO accounts SELECT n, ${BALANCE} FROM numbers`),
    "INSERT INTO meta VALUES ('last', 0)",
    numbers(
      rows,
      `INSERT INTO mixed (grp, body) SELECT n % 500, randomblob(${pageSize / 2}) FROM numbers`,
    ),
    'COMMIT',
  )
}

/** A statement over a table `numbers` of 1 to `count`. */
export function numbers(count: number, statement: string): string {
  const series =
    'WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ' +
    `${count})`
  return count > 0 ? `${series} ${statement}` : 'SELECT 1'
}

export interface WriterOptions {
  readonly path: string
  readonly name: string
  readonly seed: number
  readonly pauseMs?: number
  readonly autocheckpoint?: number
  /**
   * Small transactions that read before they write: they are refused while another connection holds
   * the write lock.
   */
  readonly isDeferred?: boolean
}

export interface WriterCounts {
  readonly commits: number
  readonly rollbacks: number
  readonly busy: number
}

/** A writer in another process; `language` decides which SQLite it brings. */
export class Writer {
  readonly child: Child

  constructor(lab: Lab, language: 'python' | 'node', options: WriterOptions) {
    this.child =
      language === 'python' ? lab.python('writer', options) : lab.program('writer', options)
  }

  get commits(): number {
    return this.counts.commits
  }

  /** The number that it last reported. */
  get counts(): WriterCounts {
    const line = this.child.out.findLast((each) => each.startsWith('{"commits'))
    return line ? JSON.parse(line) : { commits: 0, rollbacks: 0, busy: 0 }
  }

  /** Waits until it has made so many more commits. */
  async advance(commits: number): Promise<void> {
    const from = this.commits
    await this.child.line(
      (line) => (JSON.parse(line).commits ?? 0) >= from + commits,
      Math.max(0, this.child.out.length - 1),
    )
  }

  async stop(): Promise<WriterCounts> {
    this.child.expectEnd()
    this.child.write('stop')
    const { text } = await this.child.line((line) => line.startsWith('{"done"'))
    await this.child.ended
    return JSON.parse(text).done
  }
}

export interface ReaderOptions {
  readonly path: string
  readonly seed?: number
  readonly holdMs?: number
  readonly pauseMs?: number
  /** The share of passes on a new connection. */
  readonly reopen?: number
  readonly mmap?: boolean
  readonly readOnly?: boolean
  /** With `gid`: the user it runs as. */
  readonly uid?: number
  readonly gid?: number
}

/** A reader in another process that checks the invariants throughout. */
export class Reader {
  readonly child: Child

  constructor(lab: Lab, options: ReaderOptions) {
    this.child = lab.python('reader', { total: TOTAL, ...options })
  }

  /** Throws if an invariant has been broken so far. */
  check(): void {
    const failure = this.child.out.find((line) => line.includes('"failure"'))
    assert.equal(failure, undefined)
    assert.equal(this.child.end, undefined, this.child.tail())
  }

  /** Waits until it has seen log row `id`. */
  async sees(id: number): Promise<void> {
    await this.child.line((line) => line.includes('"failure"') || JSON.parse(line).at >= id)
    this.check()
  }

  async stop(): Promise<{ passes: number; reopened: number; checks: number; newest: number }> {
    this.check()
    this.child.expectEnd()
    this.child.write('stop')
    const { text } = await this.child.line(
      (line) => line.includes('"done"') || line.includes('"failure"'),
    )
    assert.ok(text.includes('"done"'), text)
    return JSON.parse(text).done
  }
}
