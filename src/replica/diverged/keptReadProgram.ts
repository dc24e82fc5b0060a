/**
 * The process that `keptRead.ts` asks with a `ReadOrder`: it reads rows of a bundle, and compares
 * them with this node's database as it is now. It changes nothing.
 */
import { messageOf, systemCode, WalcastError } from '../../errors.ts'
import { answerInThread } from '../../platform/childAnswer.ts'
import { type Difference, diffDatabases } from '../../rowdiff/rowDiff.ts'
import { type RowLine, rowLine } from '../../rowdiff/rowJson.ts'
import { STATEMENT_ORDER, sqlScript } from '../../rowdiff/rowStatements.ts'
import { type Here, keptRow } from './keptCells.ts'
import { chosenDifferences, keyText, rowText } from './keptChoice.ts'
import { KeptList, type ListedRow } from './keptList.ts'
import { MAX_SQL_CHARS, type ReadOrder } from './keptRead.ts'
import type { KeptPage, KeptSql } from './keptRow.ts'

/** Of the lines of one page, and of the columns of its rows. A page has at least one row. */
const MAX_PAGE_BYTES = 1024 * 1024
const MAX_PAGE_FIELDS = 5000
/** Of the lines of chosen rows together: all of them are in memory at once. */
const MAX_CHOSEN_BYTES = 16 * 1024 * 1024

type PageOrder = Extract<ReadOrder, { readonly type: 'page' }>
type SqlOrder = Extract<ReadOrder, { readonly type: 'sql' }>

function withList<T>(folder: string, read: (list: KeptList) => T): T {
  let list: KeptList
  try {
    list = new KeptList(`${folder}/rows.jsonl`)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    throw new WalcastError('BUNDLE_GONE', { name: folder.split('/').at(-1) ?? '' }, error)
  }
  try {
    return read(list)
  } finally {
    list.close()
  }
}

function page({ folder, live, table, from, limit }: PageOrder): KeptPage {
  const rows: ListedRow[] = []
  let next: number | null = null
  withList(folder, (list) => {
    let [bytes, fields] = [0, 0]
    for (const row of list.rows(from, table ?? undefined)) {
      bytes += row.next - row.at
      fields += Object.keys(row.line?.before ?? {}).length
      const isFull = bytes > MAX_PAGE_BYTES || fields > MAX_PAGE_FIELDS
      if (rows.length >= limit || (rows.length > 0 && isFull)) {
        next = row.at
        return
      }
      rows.push(row)
    }
  })
  const lines = rows.flatMap(({ line }) => line ?? [])
  const { states, detail } = statesNow(`${folder}/database.db`, live, lines)
  const shown = rows.map((row) => {
    const here: Here = (row.line && states.get(rowText(row.line))) ?? { state: 'unknown' }
    return keptRow(row, here)
  })
  return { rows: shown, next, detail }
}

/** How the rows are in the database `live`. A row that is not in the result is not known. */
function statesNow(
  database: string,
  live: string,
  lines: readonly RowLine[],
): { readonly states: ReadonlyMap<string, Here>; readonly detail: string | null } {
  const states = new Map<string, Here>()
  try {
    if (lines.length > 0) readStates(chosenDifferences(database, live, lines), lines, states)
    return { states, detail: null }
  } catch (error) {
    // The rows themselves can be shown all the same.
    return { states: new Map(), detail: messageOf(error) }
  }
}

function readStates(
  differences: Iterable<Difference>,
  lines: readonly RowLine[],
  states: Map<string, Here>,
): void {
  /** The keys of the tables that were compared. */
  const keys = new Map<string, string>()
  let missing: ReadonlySet<string> = new Set()
  for (const difference of differences) {
    if (difference.type === 'table') {
      const { match } = difference
      keys.set(match.table, match.key.map(({ name }) => name).join('\0'))
    } else if (difference.type === 'row') {
      const line = rowLine(difference)
      states.set(rowText(line), { state: line.after ? 'differs' : 'missing', line })
    } else if (difference.type === 'summary') missing = new Set(difference.missingKeys)
  }
  for (const line of lines) {
    const isSameKey = keys.get(line.table) === Object.keys(line.key).join('\0')
    const isLooked = isSameKey && !missing.has(keyText(line) ?? '')
    if (!isLooked) states.delete(rowText(line))
    else if (!states.has(rowText(line))) states.set(rowText(line), { state: 'same' })
  }
}

function sql({ folder, live, table, rows, updates }: SqlOrder): KeptSql {
  const database = `${folder}/database.db`
  const differences =
    rows.length > 0
      ? chosenDifferences(database, live, linesAt(folder, rows), STATEMENT_ORDER)
      : diffDatabases(database, live, {
          tables: table === null ? [] : [table],
          isOneSided: true,
          order: STATEMENT_ORDER,
        })
  let [inserted, conflicts] = [0, 0]
  const counted = function* (): Generator<Difference, void, void> {
    for (const difference of differences) {
      if (difference.type === 'row' && difference.kind === 'removed') inserted++
      if (difference.type === 'row' && difference.kind === 'changed') conflicts++
      yield difference
    }
  }
  let text = ''
  for (const piece of sqlScript(counted(), { updates, deletes: false })) {
    text += piece
    if (text.length > MAX_SQL_CHARS)
      throw new WalcastError('BUNDLE_SQL_TOO_LARGE', { limit: MAX_SQL_CHARS })
  }
  return { sql: text, inserted, conflicts }
}

function linesAt(folder: string, rows: readonly number[]): RowLine[] {
  let leftBytes = MAX_CHOSEN_BYTES
  return withList(folder, (list) =>
    [...new Set(rows)].map((at) => {
      const { line, next } = list.row(at)
      leftBytes -= next - at
      if (line && leftBytes >= 0) return line
      throw new WalcastError('BUNDLE_SQL_TOO_LARGE', { limit: MAX_SQL_CHARS })
    }),
  )
}

answerInThread('replica/diverged/keptReadProgram', (order: ReadOrder) =>
  order.type === 'page' ? page(order) : sql(order),
)
