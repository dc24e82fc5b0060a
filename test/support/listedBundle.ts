/** A bundle whose rows are compared, as a node leaves it: database.db, rows.jsonl, about.json. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { KeptDivergence } from '../../src/replica/diverged/keptFolder.ts'
import { diffDatabases } from '../../src/rowdiff/rowDiff.ts'
import { jsonLines } from '../../src/rowdiff/rowJson.ts'

export const BUNDLE_NAME = '20261129T021407Z-4-5132'

export function makeDatabase(path: string, ...statements: readonly string[]): void {
  const db = new Database(path)
  try {
    for (const sql of statements) db.exec(sql)
  } finally {
    db.close()
  }
}

/** `kept` makes the rows of the bundle, which are compared with the database at `live`. */
export function listedBundle(
  stateFolder: string,
  live: string,
  kept: readonly string[],
  change: Partial<KeptDivergence> = {},
): string {
  const folder = join(stateFolder, 'diverged', BUNDLE_NAME)
  mkdirSync(folder, { recursive: true })
  const database = join(folder, 'database.db')
  makeDatabase(database, ...kept)
  const lines = [...jsonLines(diffDatabases(database, live, { isOneSided: true }))]
  writeFileSync(join(folder, 'rows.jsonl'), lines.join(''))
  const about: KeptDivergence = {
    format: 1,
    kind: 'diverged',
    at: '2026-11-29T02:14:07.000Z',
    node: 'node-a',
    epoch: 4,
    txid: 5132,
    checksum: '0123456789abcdef',
    pageSize: 4096,
    pages: 3,
    leader: 'node-b',
    reason: 'its history ends elsewhere',
    state: 'compared',
    rows: { removed: 1, changed: 1, added: 0 },
    isComplete: true,
    ...change,
  }
  writeFileSync(join(folder, 'about.json'), JSON.stringify(about))
  return folder
}
