/** Puts rows, as b-trees hold them, into the tables of a database by SQL, byte for byte. */
import Database from 'better-sqlite3'
import { messageOf } from '../errors.ts'
import { quoteName } from '../sqlite/sqlText.ts'
import type { StoredValue } from '../sqlite/storedRecord.ts'
import { BEFORE } from './databasePair.ts'
import { readShapes, type TableShape } from './tableShape.ts'

/** Statements kept prepared: one for each table, number of values and places of texts. */
const MAX_STATEMENTS = 256
/** At most so many functions of an application get a stand-in. */
const MAX_FUNCTIONS = 1000

/** How the values of a table's record map to its columns. */
interface Target {
  readonly name: string
  /** For each value of a record; undefined for one that SQLite computes itself. */
  readonly columns: readonly (string | undefined)[]
  /**
   * What names the rowid: its alias column, which a record stores as NULL, or one of its own names.
   */
  readonly rowid: string | undefined
  readonly withoutRowid: boolean
}

export class RowLoader {
  readonly #db: Database.Database
  readonly #targets: ReadonlyMap<string, Target>
  readonly #statements = new Map<string, Database.Statement>()
  #functions = 0
  #refused = 0

  /** `db` has no triggers. Only its unique constraints are checked. */
  constructor(db: Database.Database) {
    this.#db = db
    db.pragma('foreign_keys = OFF')
    db.pragma('ignore_check_constraints = ON')
    const targets = [...readShapes(db, BEFORE).values()]
      .filter(({ kind }) => kind === 'table')
      .map((shape) => [shape.name, targetOf(db, shape)] as const)
    this.#targets = new Map(targets)
  }

  /** Rows that the table did not take: only damage can cause that. */
  get refused(): number {
    return this.#refused
  }

  has(table: string): boolean {
    return this.#targets.has(table)
  }

  /**
   * Values that a short record lacks are the defaults of their columns
   * (https://sqlite.org/fileformat2.html#record_format).
   */
  insert(table: string, rowid: bigint | undefined, values: readonly StoredValue[]): void {
    const target = this.#targets.get(table)
    if (
      !target ||
      target.withoutRowid !== (rowid === undefined) ||
      values.length > target.columns.length
    ) {
      this.#refused++
      return
    }
    const names: string[] = []
    const bound: StoredValue[] = []
    if (rowid !== undefined && target.rowid !== undefined) {
      names.push(target.rowid)
      bound.push(rowid)
    }
    values.forEach((value, i) => {
      const name = target.columns[i]
      if (name === undefined || name === target.rowid) return
      names.push(name)
      bound.push(value)
    })
    this.#run(target.name, names, bound)
  }

  #run(table: string, names: readonly string[], values: readonly StoredValue[]): void {
    const isText = values.map(
      (value) => value !== null && typeof value === 'object' && 'text' in value,
    )
    const bound = values.map((value) =>
      value !== null && typeof value === 'object' && 'text' in value ? value.text : value,
    )
    for (;;) {
      try {
        this.#prepare(table, names, isText).run(...bound)
        return
      } catch (error) {
        if (this.#standIn(error)) continue
        if (!(error instanceof Database.SqliteError)) throw error
        // An impossible row, or one whose index only the application can keep.
        if (!/^SQLITE_(CONSTRAINT|ERROR|MISMATCH)/.test(error.code)) throw error
        this.#refused++
        return
      }
    }
  }

  #prepare(
    table: string,
    names: readonly string[],
    isText: readonly boolean[],
  ): Database.Statement {
    const places = isText.map((text) => (text ? 'CAST(? AS TEXT)' : '?')).join(', ')
    const columns = names.map(quoteName).join(', ')
    const rest = names.length === 0 ? 'DEFAULT VALUES' : `(${columns}) VALUES (${places})`
    const sql = `INSERT INTO main.${quoteName(table)} ${rest}`
    const known = this.#statements.get(sql)
    if (known) return known
    if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear()
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  /** A function of the application, in an index or a generated column, gives NULL here. */
  #standIn(error: unknown): boolean {
    const name = /^(?:unknown function: |no such function: )([^()]+)/.exec(messageOf(error))?.[1]
    if (name === undefined || ++this.#functions > MAX_FUNCTIONS) return false
    this.#db.function(name, { varargs: true, deterministic: true }, () => null)
    this.#statements.clear()
    return true
  }
}

interface ColumnRow {
  readonly name: string
  /** 2 for a generated column that is not stored, 3 for one that is. */
  readonly hidden: number
}

const NOT_STORED = 2
const GENERATED = 3

function targetOf(db: Database.Database, shape: TableShape): Target {
  const { name, withoutRowid, primaryKey, rowidNames } = shape
  const all = db.pragma(`main.table_xinfo(${quoteName(name)})`) as readonly ColumnRow[]
  const stored = withoutRowid
    ? inKeyOrder(db, name, all)
    : all.filter(({ hidden }) => hidden !== NOT_STORED)
  const alias = primaryKey.length === 1 && primaryKey[0].isRowid ? primaryKey[0].name : undefined
  return {
    name,
    columns: stored.map((column) => (column.hidden === GENERATED ? undefined : column.name)),
    rowid: withoutRowid ? undefined : (alias ?? rowidNames[0]),
    withoutRowid,
  }
}

/**
 * The columns of the primary key first:
 * https://sqlite.org/fileformat2.html#representation_of_without_rowid_tables.
 */
function inKeyOrder(db: Database.Database, table: string, all: readonly ColumnRow[]): ColumnRow[] {
  const indexes = db.pragma(`main.index_list(${quoteName(table)})`) as readonly {
    readonly name: string
    readonly origin: string
  }[]
  const key = indexes.find(({ origin }) => origin === 'pk')?.name ?? ''
  const places = db.pragma(`main.index_xinfo(${quoteName(key)})`) as readonly {
    readonly cid: number
  }[]
  return places.flatMap(({ cid }) => all[cid] ?? [])
}
