/** `walcast history`: what an archive has, and what each position changed. */
import { momentText } from '../backup/moment.ts'
import { nameOf, type PastArchive } from '../backup/past/pastArchive.ts'
import { type HistoryEntry, pastHistory } from '../backup/past/pastHistory.ts'
import { UNKNOWN } from '../backup/past/tableOwners.ts'
import { foldName } from '../sqlite/sqlText.ts'
import { withAgo } from './agoArguments.ts'
import { identityHelp } from './archivePlace.ts'
import { parseFlags } from './commandArguments.ts'
import { DataOutput } from './dataOutput.ts'
import { cutMiddle } from './displayWidth.ts'
import { showHelp } from './helpOutput.ts'
import { tablesText } from './historyTables.ts'
import { countOf, momentOf, PLACE_HELP, withArchive } from './pastArguments.ts'
import { formatBytes, jsonLine, shown } from './queryCommand.ts'
import type { ReadProgress } from './readProgress.ts'
import { lookOf } from './terminalLook.ts'

const DEFAULT_LIMIT = 50
/** Of the list of tables, in a terminal that has no room for it. */
const LEAST_COLUMNS = 9
/** Positions that --table looks at, when no time says where to begin. */
const MAX_LOOKED_AT = 10_000

const HELP = `walcast history --from PLACE [options]

Lists the positions of an archive, oldest first: when the leader noticed them, how much they
changed, and pages of which tables. Pages of an index count for its table. ${UNKNOWN} stands for
pages of which it cannot be told.

  --from PLACE     the archive
${identityHelp(15)}
  --table TABLE    only positions that touched this table, or that cannot be told
  --since MOMENT   positions from this time or position on
  --until MOMENT   positions up to this time or position
  --limit N        the newest N positions [${DEFAULT_LIMIT}]
  --no-tables      leave the tables out: to tell them, the interior pages of the database are read
  --json           one JSON object a position
  --wide           on a terminal, do not cut the list of tables

With --table and without --since, the newest ${MAX_LOOKED_AT} positions are looked at.

${PLACE_HELP}
`

export const FLAGS = {
  help: { type: 'boolean' },
  from: { type: 'string' },
  identity: { type: 'string' },
  table: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  limit: { type: 'string' },
  'no-tables': { type: 'boolean' },
  json: { type: 'boolean' },
  wide: { type: 'boolean' },
} as const

export async function runHistory(args: readonly string[]): Promise<number> {
  const values = parseFlags(withAgo(args), FLAGS)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const wanted: Wanted = {
    table: values.table,
    limit: countOf('--limit', values.limit) ?? DEFAULT_LIMIT,
    since: values.since,
    until: values.until,
    hasTables: !values['no-tables'],
    isJson: values.json ?? false,
    isWide: values.wide ?? false,
  }
  const given = { flag: '--from', place: values.from, identity: values.identity }
  return withArchive(given, wanted.isJson, async (archive, reading) => {
    await print(archive, wanted, reading)
    return 0
  })
}

interface Wanted {
  readonly table: string | undefined
  readonly limit: number
  readonly since: string | undefined
  readonly until: string | undefined
  readonly hasTables: boolean
  readonly isJson: boolean
  readonly isWide: boolean
}

async function print(archive: PastArchive, wanted: Wanted, reading: ReadProgress): Promise<void> {
  const { table, limit, isJson, hasTables } = wanted
  const [sinceMs, untilMs] = [
    await timeOf(archive, '--since', wanted.since, Number.NEGATIVE_INFINITY),
    await timeOf(archive, '--until', wanted.until, Number.POSITIVE_INFINITY),
  ]
  const most = table === undefined ? limit : wanted.since === undefined ? MAX_LOOKED_AT : Infinity
  const entries: HistoryEntry[] = []
  for await (const entry of pastHistory(archive, { sinceMs, untilMs, limit: most, hasTables })) {
    if (table !== undefined && !touches(entry, table)) continue
    entries.push(entry)
    if (entries.length > limit) entries.shift()
  }
  reading.end()
  const columns = lookOf(process.stdout, process.env, wanted.isWide).textColumns
  const output = new DataOutput(process.stdout)
  for (const entry of entries)
    if (!(await output.write(isJson ? jsonLine(json(entry)) : line(entry, table, columns)))) return
  await output.end()
  if (entries.length === 0) process.stderr.write(`${noneText(wanted)}\n`)
}

function noneText({ table, since, until }: Wanted): string {
  const when = since === undefined && until === undefined ? '' : ' in that time'
  if (table === undefined) return `no position${when}`
  const where = when === '' ? ` in the newest ${MAX_LOOKED_AT} positions` : when
  return `no change of a table ${shown(table)}${where}: check its name, or give another --since`
}

/** A position means its own time. */
async function timeOf(
  archive: PastArchive,
  flag: string,
  text: string | undefined,
  fallback: number,
): Promise<number> {
  if (text === undefined) return fallback
  const moment = momentOf(flag, text)
  return moment.kind === 'time' ? moment.atMs : (await archive.find(moment)).position.timeMs
}

function touches({ tables }: HistoryEntry, table: string): boolean {
  if (!tables || tables.has(UNKNOWN)) return true
  return [...tables.keys()].some((name) => foldName(name) === foldName(table))
}

/** `columns`: those of the terminal, in which the list of tables is cut. */
function line(
  { position, pageSize, changed, tables }: HistoryEntry,
  table: string | undefined,
  columns: number,
): string {
  const parts = [
    momentText(position.timeMs),
    nameOf(position).padStart(8),
    `${changed} page${changed === 1 ? '' : 's'}`.padStart(11),
    formatBytes(changed * pageSize).padStart(10),
  ].join('  ')
  const room = Math.max(LEAST_COLUMNS, columns - parts.length - 2)
  return `${parts}  ${cutMiddle(tablesText(sorted(tables), table), room)}`.trimEnd().concat('\n')
}

/** The table with the most pages first. */
function sorted(tables: HistoryEntry['tables']): [string, number][] {
  return [...(tables ?? [])].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
}

function json({ position, pageSize, changed, tables }: HistoryEntry): unknown {
  const { epoch, txid, timeMs, checksum, incarnation, pages } = position
  return {
    position: nameOf(position),
    epoch,
    txid,
    time: new Date(timeMs).toISOString(),
    timeMs,
    checksum,
    incarnation,
    databasePages: pages,
    pages: changed,
    bytes: changed * pageSize,
    ...(tables && { tables: sorted(tables).map(([table, count]) => ({ table, pages: count })) }),
  }
}
