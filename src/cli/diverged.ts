/**
 * `walcast diverged`: the rows that a node kept aside since its leader may lack them. SQL goes to
 * standard output, and all that is for people to standard error.
 */
import {
  BUNDLE_ROWS_PATH,
  BUNDLE_SQL_PATH,
  BUNDLES_PATH,
  type BundlesAnswer,
  DEFAULT_PAGE_ROWS,
  type RemovedBundle,
} from '../api/bundles.ts'
import { parseNumber } from '../options/optionValues.ts'
import {
  type KeptPage,
  type KeptSql,
  MAX_CHOSEN_ROWS,
  MAX_PAGE_ROWS,
} from '../replica/diverged/keptRow.ts'
import { BUNDLE_PAGE, BUNDLE_SQL, BUNDLES, REMOVED_BUNDLE } from './bundleShapes.ts'
import { bundlesText, pageText, rowsText } from './bundleText.ts'
import { NODE_FLAGS, operator, parseAll } from './commandArguments.ts'
import { namedNode } from './namedNode.ts'
import { askJson, type Question } from './nodeClient.ts'
import { formatBytes, jsonLine } from './queryCommand.ts'
import { SqlOutput } from './sqlOutput.ts'
import { type NodeSubcommand, runSubcommand } from './subcommand.ts'
import { shown } from './table.ts'
import { lookOf } from './terminalLook.ts'
import { usage } from './usage.ts'

const HELP = `walcast diverged list
walcast diverged rows NAME [--table TABLE] [--from ROW] [--limit N]
walcast diverged sql NAME [--table TABLE | --rows ROW,...] [--updates]
walcast diverged delete NAME [--dry-run]

Looks at the bundles of rows that a node kept aside because its leader may lack them. NAME is that
of a bundle. See docs/operating/split-rows.md before you run any of the SQL.

  list     shows the bundles of the node, the newest first
  rows     shows rows side by side: before (as this node had them), here (as its database has them
           now) and there (as the leader had them when they were compared)
  sql      prints SQL that inserts the rows which this node's database lacks now; rows that it has
           with other values are comments. Run it at the leader
  delete   removes a bundle for ever: it may be the last copy of its rows

  --table TABLE    only rows of this table
  --from ROW       the row to begin with, as "rows" tells it at the end of a page
  --limit N        of rows: at most so many, up to ${MAX_PAGE_ROWS} [${DEFAULT_PAGE_ROWS}]
  --rows ROW,...   of sql: these rows, by the numbers that "rows" shows; ${MAX_CHOSEN_ROWS} at most
  --updates        of sql: overwrite rows that differ. After a split these may be two rows that got
                   the same key: look at them first
  --dry-run        of delete: say what would be lost, and remove nothing
  --node NODE      id, HOST:PORT or URL of the node to ask [WALCAST_NODE]
  --db FILE        the node of FILE on this machine [WALCAST_DB, else the only one there]
  --wide           cut nothing, and show whole times
  --json           print the result as JSON

Over an address "list" needs a token of role read, and the others one of role operate
(WALCAST_TOKEN or WALCAST_TOKEN_FILE), or the cluster secret. On the node's machine it needs none.
`

export const FLAGS = {
  ...NODE_FLAGS,
  table: { type: 'string' },
  from: { type: 'string' },
  limit: { type: 'string' },
  rows: { type: 'string' },
  updates: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  wide: { type: 'boolean' },
} as const

type Flags = ReturnType<typeof parseAll<typeof FLAGS>>['values']

const NAME = 'the name of a bundle: walcast diverged list'
const COMMANDS: Readonly<Record<string, NodeSubcommand<Flags>>> = {
  list: { argument: undefined, flags: ['wide'], run: list },
  rows: { argument: NAME, flags: ['table', 'from', 'limit', 'wide'], run: rows },
  sql: { argument: NAME, flags: ['table', 'rows', 'updates'], run: sql },
  delete: { argument: NAME, flags: ['dry-run'], run: remove },
}
/** Rows are compared for up to 20 seconds, after a wait for others. */
const TIMEOUT_MS = 180_000

export async function runDiverged(args: readonly string[]): Promise<number> {
  const { values: flags, positionals } = parseAll(args, FLAGS)
  if (flags.help) {
    process.stdout.write(HELP)
    return 0
  }
  await runSubcommand(COMMANDS, 'diverged', flags, positionals)
  return 0
}

async function list(flags: Flags): Promise<void> {
  const question = await asking(flags, 'GET', BUNDLES_PATH)
  const answer = await askJson<BundlesAnswer>(question, BUNDLES)
  const look = lookOf(process.stdout, process.env, flags.wide)
  process.stdout.write(flags.json ? jsonLine(answer) : bundlesText(answer, look))
}

async function rows(flags: Flags, name: string): Promise<void> {
  const { table = '', from = '0', limit = String(DEFAULT_PAGE_ROWS) } = flags
  const asked = {
    name,
    table,
    from: String(parseNumber('from', from)),
    limit: String(parseNumber('limit', limit)),
    by: operator(),
  }
  const question = await asking(flags, 'GET', `${BUNDLE_ROWS_PATH}?${new URLSearchParams(asked)}`)
  const page = await askJson<KeptPage>(question, BUNDLE_PAGE)
  const look = lookOf(process.stdout, process.env, flags.wide)
  process.stdout.write(flags.json ? jsonLine(page) : pageText(page, look))
}

async function sql(flags: Flags, name: string): Promise<void> {
  const { table = '', rows: chosen, updates = false } = flags
  if (table !== '' && chosen !== undefined) throw usage('--table and --rows exclude each other')
  const numbers = chosen?.split(',').map((text) => parseNumber('rows', text)) ?? []
  const body = { name, table, rows: numbers, updates, by: operator() }
  const question = { ...(await asking(flags, 'POST', BUNDLE_SQL_PATH)), body }
  const answer = await askJson<KeptSql>(question, BUNDLE_SQL)
  const { inserted, conflicts } = answer
  if (flags.json) return void process.stdout.write(jsonLine(answer))
  const output = new SqlOutput(process.stdout, process.stderr)
  await output.write(answer.sql)
  await output.end()
  const what = updates ? 'overwritten' : 'in conflict, as comments'
  process.stderr.write(`${inserted} rows inserted, ${conflicts} ${what}\n`)
}

async function remove(flags: Flags, name: string): Promise<void> {
  const dryRun = flags['dry-run'] ?? false
  const query = new URLSearchParams({ name, dryRun: String(dryRun), by: operator() })
  const question = await asking(flags, 'DELETE', `${BUNDLES_PATH}?${query}`)
  const answer = await askJson<RemovedBundle>(question, REMOVED_BUNDLE)
  if (flags.json) return void process.stdout.write(jsonLine(answer))
  const { bundle } = answer
  const had = `${rowsText(bundle)}; ${formatBytes(bundle.bytes)}`
  process.stdout.write(
    `${shown(dryRun ? `would remove ${name}: ${had}` : `removed ${name}: ${had}`)}\n`,
  )
}

async function asking(flags: Flags, method: Question['method'], path: string): Promise<Question> {
  const environment = process.env
  const node = await namedNode(flags, environment)
  return { method, node, path, environment, timeoutMs: TIMEOUT_MS }
}
