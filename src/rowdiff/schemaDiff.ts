/**
 * Tables, indexes, views and triggers of two databases, compared by the text of their CREATE
 * statements.
 */
import type Database from 'better-sqlite3'
import { foldName } from '../sqlite/sqlText.ts'
import { AFTER, BEFORE, type Side } from './databasePair.ts'

export interface SchemaObject {
  readonly type: 'table' | 'index' | 'view' | 'trigger'
  readonly name: string
  /** The table that it belongs to. For a table or a view, its own name. */
  readonly table: string
  readonly sql: string
}

export interface SchemaDifference {
  readonly type: SchemaObject['type']
  readonly name: string
  readonly table: string
  readonly before: string | null
  readonly after: string | null
}

/** What was created by a statement of an application, by type and folded name. */
export type Schema = ReadonlyMap<string, SchemaObject>

function readSchema(db: Database.Database, side: Side): Schema {
  const objects = db
    .prepare<[], SchemaObject>(
      `SELECT type, name, tbl_name AS "table", sql FROM ${side}.sqlite_schema
        WHERE sql IS NOT NULL ORDER BY name`,
    )
    .all()
    .filter(({ name }) => !foldName(name).startsWith('sqlite_'))
  return new Map(objects.map((object) => [`${object.type} ${foldName(object.name)}`, object]))
}

export function readSchemas(db: Database.Database): Readonly<Record<Side, Schema>> {
  return { [BEFORE]: readSchema(db, BEFORE), [AFTER]: readSchema(db, AFTER) }
}

const ORDER = ['table', 'index', 'view', 'trigger']

/** Tables first; within a type by name. */
export function compareSchemas(before: Schema, after: Schema): SchemaDifference[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .flatMap((key) => difference(before.get(key), after.get(key)))
    .sort(
      (a, b) =>
        ORDER.indexOf(a.type) - ORDER.indexOf(b.type) ||
        (foldName(a.name) < foldName(b.name) ? -1 : 1),
    )
}

function difference(
  before: SchemaObject | undefined,
  after: SchemaObject | undefined,
): SchemaDifference[] {
  const one = before ?? after
  if (!one || before?.sql === after?.sql) return []
  const { type, name, table } = one
  return [{ type, name, table, before: before?.sql ?? null, after: after?.sql ?? null }]
}
