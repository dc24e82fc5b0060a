/** `walcast undo`: SQL that takes back what some transactions did to rows, printed or applied. */
import { momentText } from '../backup/moment.ts'
import { type FoundPosition, nameOf, type PastArchive } from '../backup/past/pastArchive.ts'
import { inTemporaryFolder } from '../backup/past/rowPair.ts'
import { applyUndo } from '../backup/past/undoApply.ts'
import {
  type Conflict,
  changesIn,
  planOf,
  type RangeChanges,
  type UndoRange,
} from '../backup/past/undoRange.ts'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import { keyValues, type RowDifference } from '../rowdiff/rowDiff.ts'
import type { Winner } from '../rowdiff/rowUndo.ts'
import type { SqlValue } from '../rowdiff/rowValues.ts'
import { oneLineLiteral } from '../rowdiff/sqlLiteral.ts'
import { type UndoStep, undoHead, undoScript } from '../rowdiff/undoScript.ts'
import { withAgo } from './agoArguments.ts'
import { identityHelp } from './archivePlace.ts'
import { parseAll } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { databaseTarget } from './nodeTarget.ts'
import { momentOf, PLACE_HELP, withArchive } from './pastArguments.ts'
import { shown } from './queryCommand.ts'
import type { ReadProgress } from './readProgress.ts'
import { noteInAudit } from './settledNode.ts'
import { SqlOutput } from './sqlOutput.ts'
import { usage } from './usage.ts'

/** Rows in conflict that are listed. */
const MAX_LISTED = 100
const MAX_VALUE_CHARS = 60

const HELP = `walcast undo POSITION --from PLACE [options]
walcast undo --since A [--until B] --from PLACE [options]

Takes back what the transactions of POSITION, or those from A to B, did to rows: prints one
transaction of SQL that puts the rows back, or applies it. The states before and after them are
compared row by row, by primary key, else by rowid. Later transactions stay.

  --from PLACE      the archive
${identityHelp(16)}
  --since A         after this time or the position with this name, or from this position on, which
                    is undone too
  --until B         up to this moment [newest]
  --table TABLE     only rows of this table
  --conflicts SIDE  for rows that later transactions changed too: keep leaves them as they are now,
                    undo takes back the columns that the undone transactions changed. Without it,
                    such rows are listed and nothing is printed
  --apply           apply it to --db, in one transaction: all of it or nothing; its node notes it
                    in its audit log
  --db FILE         with --apply: the database file of the leader, on the leader's machine

Every statement names the whole row as it is expected now, and the transaction fails when one of
them is not. Triggers of the tables are dropped in it and made again, since what they did is among
the rows that are put back; foreign keys do not act, and are counted before and after. It refuses
where a table was created, removed or got other columns meanwhile. Run the SQL with sqlite3 -bail.

${PLACE_HELP}
`

export const FLAGS = {
  help: { type: 'boolean' },
  from: { type: 'string' },
  identity: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  table: { type: 'string' },
  conflicts: { type: 'string' },
  apply: { type: 'boolean' },
  db: { type: 'string' },
} as const

interface Wanted {
  readonly position: string | undefined
  readonly since: string | undefined
  readonly until: string | undefined
  readonly tables: readonly string[]
  readonly winner: Winner | undefined
  /** The database to apply it to. */
  readonly db: string | undefined
}

export async function runUndo(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseAll(withAgo(args), FLAGS)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const [position, extra] = positionals
  if (extra !== undefined) throw usage('undo takes one position: name a range by --since')
  const isRange = values.since !== undefined
  if (isRange === (position !== undefined)) throw usage('give either a POSITION or --since')
  if (!isRange && values.until !== undefined) throw usage('--until goes with --since')
  if (values.apply && values.db === undefined) throw usage('--apply wants --db FILE')
  if (!values.apply && values.db !== undefined) throw usage('--db goes with --apply')
  const { since, until, table, db } = values
  const tables = table === undefined ? [] : [table]
  const wanted = { position, since, until, tables, winner: winnerOf(values.conflicts), db }
  const given = { flag: '--from', place: values.from, identity: values.identity }
  await withArchive(given, false, (archive, reading) =>
    inTemporaryFolder((folder) => undo(archive, wanted, folder, reading)),
  )
  return 0
}

function winnerOf(side: string | undefined): Winner | undefined {
  if (side === undefined || side === 'keep' || side === 'undo') return side
  throw usage('--conflicts wants keep or undo')
}

async function undo(
  archive: PastArchive,
  wanted: Wanted,
  folder: string,
  reading: ReadProgress,
): Promise<void> {
  const range = await rangeOf(archive, wanted)
  const changes = await changed(archive, range, folder, { tables: wanted.tables, reading })
  reading.end()
  const { size } = changes.conflicts
  if (size > 0) listConflicts(changes, wanted.winner)
  if (size > 0 && wanted.winner === undefined)
    throw new WalcastError('UNDO_CONFLICTS', { count: size, rows: changes.rows })
  if (countOf(changes, wanted.winner) === 0) {
    const rest = restText(changes, wanted.winner)
    return void process.stderr.write(`no row to put back${rest}\n`)
  }
  const steps = undoScript(planOf(changes, wanted.winner ?? 'undo'))
  if (wanted.db !== undefined) await apply(wanted.db, steps, noteOf(range, changes, wanted))
  else {
    const output = new SqlOutput(process.stdout, process.stderr)
    await output.write(undoHead(headOf(range)))
    for (const { sql } of steps) if (!(await output.write(sql))) break
    await output.end()
  }
  process.stderr.write(`${closing(changes, wanted)}\n`)
}

/** Writes as an application does, and leaves a note with the node. */
async function apply(db: string, steps: Iterable<UndoStep>, detail: string): Promise<void> {
  const node = databaseTarget(db)
  try {
    applyUndo(db, steps)
  } catch (error) {
    const why = `${detail}: ${messageOf(error)}`
    await noteInAudit(node, { action: 'undo', outcome: 'refused', detail: why })
    throw error
  }
  await noteInAudit(node, { action: 'undo', outcome: 'done', detail })
}

function noteOf({ before, last }: UndoRange, changes: RangeChanges, wanted: Wanted): string {
  const [from, to] = [nameOf(before.position), nameOf(last.position)]
  return `${closing(changes, wanted)}, as they were at ${from}, before the changes up to ${to}`
}

async function rangeOf(archive: PastArchive, wanted: Wanted): Promise<UndoRange> {
  const { position, since, until } = wanted
  const newest = await archive.find({ kind: 'newest' })
  const moment = momentOf(position === undefined ? '--since' : 'undo', position ?? since)
  if (position !== undefined && moment.kind === 'named')
    throw usage(
      `${moment.name} is the name of a state, and no transaction: undo what came after it by ` +
        `--since ${moment.name}, or give the position of the transaction`,
    )
  const first = await archive.find(moment)
  const last =
    position !== undefined
      ? first
      : until === undefined
        ? newest
        : await archive.find(momentOf('--until', until))
  // A time or a name is that of a state that stays; a position names a transaction that goes.
  const isState = moment.kind === 'time' || moment.kind === 'named'
  const before = isState && position === undefined ? first : await archive.before(first)
  if (!before)
    throw refused(`${nameOf(first.position)} is the oldest position: no state before it is known`)
  if (before.position.txid >= last.position.txid)
    throw refused(`no transaction was captured between ${textOf(before)} and ${textOf(last)}`)
  return { before, last, newest }
}

/** The tables of the database do not have the one that was named. */
async function changed(
  archive: PastArchive,
  range: UndoRange,
  folder: string,
  { tables, reading }: { readonly tables: readonly string[]; readonly reading: ReadProgress },
): Promise<RangeChanges> {
  try {
    return await changesIn(archive, range, folder, tables, {
      onWhole: (bytes) => reading.begin('reading the archive', bytes),
      onRows: (done, total) => reading.rows('comparing', done, total),
    })
  } catch (error) {
    if (keyOf(error) === 'BAD_REQUEST') throw usage(messageOf(error))
    throw error
  }
}

function headOf({ before, last, newest }: UndoRange): string {
  return `Puts back the rows that changed after ${textOf(before)}
up to ${textOf(last)}, as they were at the former.
The newest position in the archive is ${textOf(newest)}.
Run this at the leader, on its database file, with a shell that stops at the first error
(sqlite3 -bail): all of it is applied, or nothing.`
}

function textOf({ position }: FoundPosition): string {
  return `${nameOf(position)} (${momentText(position.timeMs)})`
}

function closing(changes: RangeChanges, { winner, db }: Wanted): string {
  const { tables } = changes
  const count = countOf(changes, winner)
  const done = db === undefined ? 'to put back' : 'put back'
  const where = tables.size === 1 ? '1 table' : `${tables.size} tables`
  return `${count} row${count === 1 ? '' : 's'} of ${where} ${done}${restText(changes, winner)}`
}

function countOf({ rows, conflicts, settled }: RangeChanges, winner: Winner | undefined): number {
  return rows - settled.size - (winner === 'keep' ? conflicts.size : 0)
}

/** Of the rows that are not put back. */
function restText({ conflicts, settled }: RangeChanges, winner: Winner | undefined): string {
  const kept = winner === 'keep' && conflicts.size > 0 ? `; ${conflicts.size} left as they are` : ''
  return settled.size > 0 ? `${kept}; ${settled.size} as before already` : kept
}

function listConflicts(changes: RangeChanges, winner: Winner | undefined): void {
  const all = [...changes.conflicts.values()]
  for (const conflict of all.slice(0, MAX_LISTED))
    process.stderr.write(`conflict in ${conflictText(conflict, changes)}\n`)
  if (all.length > MAX_LISTED)
    process.stderr.write(`${all.length - MAX_LISTED} more rows in conflict\n`)
  if (winner !== undefined) process.stderr.write(`rows in conflict: --conflicts ${winner}\n`)
}

function conflictText({ undone, later }: Conflict, { encoding }: RangeChanges): string {
  const { match } = undone
  const literal = (value: SqlValue) => {
    const text = shown(oneLineLiteral(value, encoding))
    return text.length > MAX_VALUE_CHARS ? `${text.slice(0, MAX_VALUE_CHARS)}...` : text
  }
  const key = keyValues(undone)
    .map((value, i) => `${shown(match.key[i].name)}=${literal(value)}`)
    .join(', ')
  const state = (row: RowDifference['before']) =>
    row === null
      ? 'no row'
      : match.fields.map((name, i) => `${shown(name)}=${literal(row[i])}`).join(', ')
  const parts = [state(undone.before), state(undone.after), state(later.after)]
  return `${shown(match.table)} [${key}]: before ${parts[0]}; undone ${parts[1]}; now ${parts[2]}`
}

function refused(detail: string): WalcastError {
  return new WalcastError('UNDO_REFUSED', { detail })
}
