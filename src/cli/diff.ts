/** `walcast diff`: two database files compared row by row. */
import { parseArgs } from 'node:util'
import { withPastPair } from '../backup/past/rowPair.ts'
import { asWalcastError, type ErrorCode, keyOf, messageOf, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { type Difference, type DiffOptions, diffDatabases } from '../rowdiff/rowDiff.ts'
import { jsonLines } from '../rowdiff/rowJson.ts'
import { STATEMENT_ORDER, sqlScript } from '../rowdiff/rowStatements.ts'
import { withAgo } from './agoArguments.ts'
import { identityHelp } from './archivePlace.ts'
import { flagError, joinNegatives } from './commandArguments.ts'
import { DataOutput } from './dataOutput.ts'
import { closingLine, textReport } from './diffText.ts'
import { reportFailure } from './failureReport.ts'
import { showHelp } from './helpOutput.ts'
import { momentOf, withArchive } from './pastArguments.ts'
import { ProgressOutput } from './progressOutput.ts'
import { SqlOutput } from './sqlOutput.ts'
import { usage } from './usage.ts'

const HELP = `walcast diff BEFORE AFTER [--json | --sql] [options]
walcast diff --from T1 --to T2 --archive PLACE [--json | --sql] [options]

Compares two SQLite database files row by row, or two past states of an archive. It only reads
them, each in one read transaction; others may write to them meanwhile. Rows are matched by primary
key, else by rowid. Values differ when their bytes or types differ. SQLite's own tables (sqlite_...)
are left out; virtual tables are named and skipped.

A file in WAL mode without -wal and -shm files must lie in a folder that you may write to: SQLite
creates both in order to read.

  --json         print JSON lines: schema differences, every row that differs, a summary
  --sql          print SQL that, run on AFTER, creates the tables and inserts the rows that only
                 BEFORE has; rows whose values differ, and other schema differences, are comments
  --updates      with --sql: overwrite rows that differ with the values of BEFORE. After a split
                 these may be two rows that got the same key: read the comments first
  --deletes      with --sql: delete the rows that only AFTER has; without it they are not compared
  --table NAME   compare only this table; may be repeated
  --key KEY      compare only rows with this key: several columns joined by commas, a blob as 00ff
                 or x'00ff'; may be repeated
  --limit N      show so many rows of each table, count the others [20; all with --json and --sql]
  --exit-zero    exit with code 0 even if the files differ
  --archive PLACE   compare two states of this archive. Only the pages that changed between them are
                 read, so that the cost is that of the changes
${identityHelp(15)}
  --from T1      with --archive: the state that is BEFORE: a time, -6h, a position, a txid or the
                 name of a position
  --to T2        with --archive: the state that is AFTER [newest]

Run the SQL at the leader, on its own database file: a copy takes no writes. The SQL works row by
row, so it stops where two rows would exchange values of a UNIQUE column.

The differences go to standard output, a one-line summary to standard error. Exit codes are those
of diff(1): 0 no difference found, 1 rows or schema differ, 2 usage, 3 failure.
`

const TEXT_LIMIT = 20
/** Of a key that is printed. */
const MAX_KEY_CHARS = 100

/** 1 means that the databases differ, so a failure has a code of its own here. */
const DIFFER = 1
const FAILURE = 3

export async function runDiff(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse(args.includes('--archive') ? withAgo(args) : args)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const format = formatOf(values)
  const compare = comparisonOf(values, positionals)
  const progress = new ProgressOutput(values.json ?? false)
  try {
    const differs = await compare((paths) => printDifferences(paths, format, values, progress))
    return differs && !values['exit-zero'] ? DIFFER : 0
  } catch (error) {
    if (keyOf(error) === 'USAGE') throw error
    if (keyOf(error) === 'BAD_REQUEST') throw usage(messageOf(error), error)
    reportFailure(withOwnCure(error))
    return FAILURE
  }
}

type Print = (paths: readonly [string, string]) => Promise<boolean>

/** Of two files, or of two states of an archive. Throws USAGE. */
function comparisonOf(
  { archive, identity, from, to, json: isJson = false }: Values,
  positionals: readonly string[],
): (print: Print) => Promise<boolean> {
  if (archive === undefined) {
    if (from !== undefined || to !== undefined || identity !== undefined)
      throw usage('--from, --to and --identity go with --archive')
    const paths = pathsOf(positionals)
    return (print) => print(paths)
  }
  if (positionals.length > 0)
    throw usage('--archive takes no files: name the states by --from and --to')
  const [before, after] = [momentOf('--from', from), momentOf('--to', to ?? 'newest')]
  const given = { flag: '--archive', place: archive, identity }
  return (print) =>
    withArchive(given, isJson, (past, reading) =>
      withPastPair(
        past,
        before,
        after,
        (paths) => {
          reading.end()
          return print(paths)
        },
        (bytes) => reading.begin('reading the archive', bytes),
      ),
    )
}

/** The catalogue's cures for these are for a node. */
const CURES: Partial<Record<ErrorCode, string>> = {
  DB_MISSING: 'check the path',
  DB_NOT_SQLITE: 'give two SQLite 3 database files',
  DB_LOCKED:
    'close the program that holds an exclusive lock or an open transaction on it, then try again',
  DB_UNREADABLE:
    'check that you may read it; a file in WAL mode without -wal and -shm needs a folder that ' +
    'you may write to, so compare a copy of it elsewhere',
}

function withOwnCure(error: unknown): WalcastError {
  const known = asWalcastError(error)
  const cure = CURES[known.key]
  return cure === undefined
    ? known
    : new WalcastError(known.key, { message: known.message, cure }, known)
}

/** True when there are any, up to the point where the reader of the output left. */
async function printDifferences(
  paths: readonly [string, string],
  format: Format,
  values: Values,
  progress: ProgressOutput,
): Promise<boolean> {
  const options = {
    ...optionsOf(values, format),
    onRows: (done: number, total: number) =>
      progress.show({ phase: 'comparing', done, total, unit: 'rows' }),
  }
  const { stdout, stderr } = process
  const output = format === 'sql' ? new SqlOutput(stdout, stderr) : new DataOutput(stdout)
  let last: Difference | undefined
  let differs = false
  const differences = function* (): Generator<Difference, void, void> {
    for (last of diffDatabases(...paths, options)) {
      differs ||= isDifference(last)
      yield last
    }
  }
  const { deletes = false, updates = false } = values
  const pieces = {
    text: () => textReport(differences()),
    json: () => jsonLines(differences()),
    sql: () => sqlScript(differences(), { deletes, updates }),
  }[format]
  try {
    for (const piece of pieces()) {
      progress.clear()
      if (!(await output.write(piece))) return differs
    }
  } finally {
    progress.end()
    // Differences found before a failure are printed too.
    await output.end()
  }
  if (last?.type === 'summary') process.stderr.write(`${missingLines(last)}${closingLine(last)}\n`)
  return differs
}

function missingLines({ missingKeys }: Extract<Difference, { type: 'summary' }>): string {
  return missingKeys
    .map((key) => `--key ${plainText(key, MAX_KEY_CHARS)}: no such row in either file\n`)
    .join('')
}

/** Rows past the limit are in their table's counts. */
function isDifference(difference: Difference): boolean {
  if (difference.type === 'counts')
    return Object.values(difference.counts).some((count) => count > 0)
  return difference.type === 'schema' || difference.type === 'row'
}

type Format = 'text' | 'json' | 'sql'

export const FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  sql: { type: 'boolean' },
  deletes: { type: 'boolean' },
  updates: { type: 'boolean' },
  'exit-zero': { type: 'boolean' },
  table: { type: 'string', multiple: true },
  key: { type: 'string', multiple: true },
  limit: { type: 'string' },
  archive: { type: 'string' },
  identity: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
} as const

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: joinNegatives(args, FLAGS), allowPositionals: true, options: FLAGS })
  } catch (error) {
    throw flagError(error, FLAGS)
  }
}

type Values = ReturnType<typeof parse>['values']

function pathsOf(positionals: readonly string[]): [string, string] {
  const [before, after] = positionals
  if (positionals.length !== 2) throw usage('diff takes two database files')
  return [before, after]
}

function formatOf({ json, sql, deletes, updates }: Values): Format {
  if (json && sql) throw usage('--json and --sql exclude each other')
  if (deletes && !sql) throw usage('--deletes goes with --sql')
  if (updates && !sql) throw usage('--updates goes with --sql')
  return json ? 'json' : sql ? 'sql' : 'text'
}

function optionsOf({ table = [], key = [], limit, deletes }: Values, format: Format): DiffOptions {
  if (limit !== undefined && !/^\d{1,9}$/.test(limit))
    throw usage(`--limit wants a whole number, not "${plainText(limit, MAX_KEY_CHARS)}"`)
  const rows = limit === undefined ? (format === 'text' ? TEXT_LIMIT : Infinity) : Number(limit)
  return {
    tables: table,
    keys: key,
    limit: rows,
    ...(format === 'sql' && { order: STATEMENT_ORDER, isOneSided: !deletes }),
  }
}
