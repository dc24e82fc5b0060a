/** The tables of a position in one line, for people: a transaction may touch thousands of them. */
import { foldName } from '../sqlite/sqlText.ts'
import { shown } from './queryCommand.ts'

const MAX_SHOWN = 20

/** `tables`: names and pages, in order. `wanted`: the table that was asked for, which is shown. */
export function tablesText(
  tables: readonly (readonly [string, number])[],
  wanted: string | undefined,
): string {
  const isWanted = (name: string) => wanted !== undefined && foldName(name) === foldName(wanted)
  const named = tables.filter(([name], i) => i < MAX_SHOWN || isWanted(name))
  const left = tables.length - named.length
  const more = left === 0 ? [] : [`and ${left} more ${left === 1 ? 'table' : 'tables'} (--json)`]
  return [...named.map(([name, pages]) => `${shown(name)} ${pages}`), ...more].join(', ')
}
