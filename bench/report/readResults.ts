/** Reads the kept results of a folder. A file that is none is told, and the others are read. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KeptResult } from '../result.ts'

export interface Results {
  /** In the order of the suites, files of unknown suites last. */
  readonly results: readonly KeptResult[]
  /** One line for each file that cannot be read: its name and why. */
  readonly unreadable: readonly string[]
}

const MACHINE = {
  cpu: 'string',
  cores: 'number',
  mem: 'string',
  kernel: 'string',
  node: 'string',
  fileSystem: 'string',
  busyBeforePercent: 'number',
  busyAfterPercent: 'number',
} as const

/** More than any suite has. */
const MAX_ROWS = 10_000

/** A folder that is not there holds no results. */
export function readResults(folder: string, order: readonly string[]): Results {
  const files = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.json'))
    : []
  const results: KeptResult[] = []
  const unreadable: string[] = []
  for (const file of files.sort()) {
    try {
      const result = parseResult(readFileSync(join(folder, file), 'utf8'))
      if (file !== `${result.suite}.json`) throw new Error(`it is not named ${result.suite}.json`)
      results.push(result)
    } catch (error) {
      unreadable.push(`${file} is left out: ${error instanceof Error ? error.message : error}`)
    }
  }
  const place = ({ suite }: KeptResult) =>
    order.includes(suite) ? order.indexOf(suite) : order.length
  return { results: results.sort((a, b) => place(a) - place(b)), unreadable }
}

/** Throws an error that says in one line what is wrong. */
export function parseResult(text: string): KeptResult {
  const result = objectOf(parseJson(text), 'it')
  expect(result, { suite: 'string', at: 'string', commit: 'string' }, 'it')
  if (Number.isNaN(Date.parse(String(result['at'])))) throw new Error('"at" is no date')
  expect(objectOf(result['machine'], '"machine"'), MACHINE, '"machine"')
  const { rows } = result
  if (!Array.isArray(rows)) throw new Error('"rows" is no list')
  if (rows.length > MAX_ROWS) throw new Error(`it has more than ${MAX_ROWS} rows`)
  for (const [i, row] of rows.entries()) checkRow(objectOf(row, `row ${i + 1}`), `row ${i + 1}`)
  checkCells(objectOf(result['ratios'], '"ratios"'), '"ratios"')
  return result as unknown as KeptResult
}

type Fields = Readonly<Record<string, unknown>>

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('it is no JSON')
  }
}

function objectOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${what} is no object`)
  return value as Fields
}

function expect(
  fields: Fields,
  types: Readonly<Record<string, 'string' | 'number'>>,
  what: string,
): void {
  for (const [name, type] of Object.entries(types))
    if (typeof fields[name] !== type) throw new Error(`${what} has no "${name}" that is a ${type}`)
}

function checkRow(row: Fields, what: string): void {
  expect(row, { system: 'string' }, what)
  checkCells(row, what)
}

function checkCells(cells: Fields, what: string): void {
  const wrong = Object.entries(cells).find(([, cell]) => !isCell(cell))
  if (wrong) throw new Error(`"${wrong[0]}" of ${what} is neither a value nor a range`)
}

function isCell(cell: unknown): boolean {
  if (Array.isArray(cell)) return cell.length === 2 && cell.every(Number.isFinite)
  return cell === null || Number.isFinite(cell) || ['string', 'boolean'].includes(typeof cell)
}
