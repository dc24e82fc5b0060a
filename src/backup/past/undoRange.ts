/**
 * What some transactions of the past did to rows, and what later ones did to the same rows: from
 * archived states, without the database.
 */
import Database from 'better-sqlite3'
import { WalcastError } from '../../errors.ts'
import type { OnRows } from '../../rowdiff/comparedRows.ts'
import { type Difference, diffDatabases, type RowDifference } from '../../rowdiff/rowDiff.ts'
import { STATEMENT_ORDER } from '../../rowdiff/rowStatements.ts'
import { rowKey, transitionOf, type Winner } from '../../rowdiff/rowUndo.ts'
import type { TableMatch } from '../../rowdiff/tableMatch.ts'
import type { UndoPlan, UndoTable } from '../../rowdiff/undoScript.ts'
import type { TextEncoding } from '../../sqlite/databaseHeader.ts'
import { foldName, quoteName } from '../../sqlite/sqlText.ts'
import type { FoundPosition, PastArchive } from './pastArchive.ts'
import { makeRowPair, type OnWhole, type RowPair } from './rowPair.ts'

export interface UndoRange {
  /** The position before the transactions, their last one, and the one that is current. */
  readonly before: FoundPosition
  readonly last: FoundPosition
  readonly newest: FoundPosition
}

export interface Conflict {
  readonly undone: RowDifference
  readonly later: RowDifference
}

export interface RangeChanges {
  readonly encoding: TextEncoding
  readonly tables: ReadonlyMap<string, UndoTable>
  readonly referring: readonly string[]
  readonly rows: number
  /** Whether only pages that changed were read, and not whole states. */
  readonly isOfPages: boolean
  readonly conflicts: ReadonlyMap<string, Conflict>
  /** What made rows again what they were before, by their keys: an undo that was applied, say. */
  readonly settled: ReadonlyMap<string, RowDifference>
  /** Rows to take back, those in conflict and those that are settled among them. */
  differences(): Iterable<RowDifference>
}

/** Keys of rows that are remembered, and rows in conflict. */
const MAX_ROWS = 1_000_000
const MAX_CONFLICTS = 100_000

/** Hears how far it is. */
export interface RangeObserver {
  readonly onWhole?: OnWhole
  readonly onRows?: OnRows
}

/** `folder`: of files that must stay while the result is used. Throws UNDO_REFUSED and more. */
export async function changesIn(
  archive: PastArchive,
  { before, last, newest }: UndoRange,
  folder: string,
  tables: readonly string[],
  { onWhole, onRows }: RangeObserver = {},
): Promise<RangeChanges> {
  const undone = await makeRowPair(archive, before, last, { folder, name: 'undone', onWhole })
  const found = undoneRows(undone, tables, onRows)
  const isLatest = last.position.txid === newest.position.txid
  const place = { folder, name: 'later', onWhole }
  const later = isLatest ? undefined : await makeRowPair(archive, last, newest, place)
  const again: Again = later && found.keys.size > 0 ? changedAgain(later, found, onRows) : NOTHING
  const about = tablesIn(later?.after ?? undone.after, found.matches)
  return {
    encoding: found.encoding,
    ...about,
    rows: found.keys.size,
    isOfPages: !undone.isWhole && !later?.isWhole,
    ...again,
    *differences() {
      for (const difference of differencesOf(undone, tables))
        if (difference.type === 'row') yield difference
    },
  }
}

/** `winner`: of rows that later transactions changed too. */
export function planOf(changes: RangeChanges, winner: Winner): UndoPlan {
  const { conflicts, settled } = changes
  return {
    encoding: changes.encoding,
    tables: changes.tables,
    referring: changes.referring,
    *rows() {
      for (const row of changes.differences())
        if (winner === 'undo' || !conflicts.has(rowKey(row))) yield row
    },
    later: (row) => conflicts.get(rowKey(row))?.later ?? settled.get(rowKey(row)),
  }
}

/** What later transactions did to the rows. */
type Again = Pick<RangeChanges, 'conflicts' | 'settled'>
const NOTHING: Again = { conflicts: new Map(), settled: new Map() }

interface UndoneRows {
  readonly encoding: TextEncoding
  readonly matches: ReadonlyMap<string, TableMatch>
  /** Of each row, by its key. */
  readonly keys: ReadonlySet<string>
  readonly pair: RowPair
  readonly tables: readonly string[]
}

function differencesOf(
  { before, after }: RowPair,
  tables: readonly string[],
  onRows?: OnRows,
): Iterable<Difference> {
  return diffDatabases(before, after, {
    ...{ tables, order: STATEMENT_ORDER },
    ...(onRows && { onRows }),
  })
}

function undoneRows(pair: RowPair, tables: readonly string[], onRows?: OnRows): UndoneRows {
  const keys = new Set<string>()
  const matches = new Map<string, TableMatch>()
  let encoding: TextEncoding = 'UTF-8'
  for (const difference of differencesOf(pair, tables, onRows)) {
    if (difference.type === 'begin') ({ encoding } = difference)
    if (difference.type === 'skipped') requireVirtual(difference)
    if (difference.type !== 'row') continue
    const { match } = difference
    if (!matches.has(match.table)) requireSameShape(match, 'these transactions')
    matches.set(match.table, match)
    keys.add(rowKey(difference))
    if (keys.size > MAX_ROWS)
      throw refused(`more than ${MAX_ROWS} rows would be taken back: narrow it with --table`)
  }
  return { encoding, matches, keys, pair, tables }
}

function changedAgain(
  later: RowPair,
  { keys, matches, pair, tables }: UndoneRows,
  onRows?: OnRows,
): Again {
  const changedLater = new Map<string, RowDifference>()
  const touched = [...matches.keys()]
  for (const difference of differencesOf(later, touched, onRows)) {
    if (difference.type === 'table') {
      const undone = matches.get(difference.match.table)
      requireSameShape(difference.match, 'later ones')
      if (undone && undone.matchedBy !== difference.match.matchedBy)
        throw refused(`rows of table ${undone.table} have no key that all of them keep`)
    }
    if (difference.type === 'skipped')
      throw refused(`table ${difference.table} cannot be compared: ${difference.reason}`)
    if (difference.type !== 'row') continue
    const key = rowKey(difference)
    if (keys.has(key)) changedLater.set(key, difference)
    if (changedLater.size > MAX_CONFLICTS)
      throw refused(`later transactions changed more than ${MAX_CONFLICTS} of the rows again`)
  }
  const conflicts = new Map<string, Conflict>()
  const settled = new Map<string, RowDifference>()
  for (const undone of differencesOf(pair, tables)) {
    if (undone.type !== 'row') continue
    const row = changedLater.get(rowKey(undone))
    if (!row) continue
    if (transitionOf(undone, row)) conflicts.set(rowKey(undone), { undone, later: row })
    else settled.set(rowKey(undone), row)
  }
  return { conflicts, settled }
}

/** Rows of a virtual table are in tables of its own, whose differences are refused. */
function requireVirtual({
  table,
  reason,
}: {
  readonly table: string
  readonly reason: string
}): void {
  if (!/virtual/.test(reason)) throw refused(`table ${table} cannot be compared: ${reason}`)
}

function requireSameShape(match: TableMatch, who: string): void {
  const { table, names, columnsOnlyBefore, columnsOnlyAfter, isShadow } = match
  if (isShadow)
    throw refused(
      `table ${table} belongs to a virtual table, which alone may write to it (--table)`,
    )
  if (names.main === undefined) throw refused(`${who} created table ${table}`)
  if (names.other === undefined) throw refused(`${who} removed table ${table}`)
  const [column] = [...columnsOnlyBefore, ...columnsOnlyAfter]
  if (column !== undefined)
    throw refused(`${who} changed the columns of table ${table} (${column})`)
}

function refused(detail: string): WalcastError {
  return new WalcastError('UNDO_REFUSED', { detail })
}

/** `path`: of a database with the current schema. */
function tablesIn(
  path: string,
  matches: ReadonlyMap<string, TableMatch>,
): Pick<RangeChanges, 'tables' | 'referring'> {
  const db = new Database(path, { readonly: true, fileMustExist: true })
  try {
    const tables = new Map([...matches.keys()].map((name) => [name, tableIn(db, name)] as const))
    return { tables, referring: referringTo(db, new Set([...matches.keys()].map(foldName))) }
  } finally {
    db.close()
  }
}

function tableIn(db: Database.Database, name: string): UndoTable {
  const indexes = db.pragma(`index_list(${quoteName(name)})`) as readonly {
    readonly unique: number
    readonly origin: string
  }[]
  const schema = db.prepare<[string, string], { name: string; sql: string }>(
    'SELECT name, sql FROM sqlite_schema WHERE type = ? AND tbl_name = ? COLLATE NOCASE',
  )
  return {
    name,
    hasUniqueIndex: indexes.some(({ unique, origin }) => unique === 1 && origin !== 'pk'),
    resolvesConflicts: schema.all('table', name).some(({ sql }) => /conflict/i.test(sql)),
    triggers: schema.all('trigger', name),
  }
}

/** Tables with foreign keys that are `touched` themselves, or whose parents are. */
function referringTo(db: Database.Database, touched: ReadonlySet<string>): string[] {
  const rows = db
    .prepare<[], { child: string; parent: string }>(
      `SELECT DISTINCT t.name AS child, f."table" AS parent FROM sqlite_schema AS t
        JOIN pragma_foreign_key_list(t.name) AS f WHERE t.type = 'table'`,
    )
    .all()
  const names = rows
    .filter(({ child, parent }) => [child, parent].some((name) => touched.has(foldName(name))))
    .map(({ child }) => child)
  return [...new Set(names)]
}
