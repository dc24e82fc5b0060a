/** `walcast at`: a query on a past state, without a restore. */

import type { FoundPosition, PastArchive } from '../backup/past/pastArchive.ts'
import { PastQuery } from '../backup/past/pastQuery.ts'
import { restorePlace } from '../backup/replacedFile.ts'
import { restore } from '../backup/restore.ts'
import { bytesOf } from '../backup/restorePlan.ts'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import { systemFileOps } from '../platform/fileOps.ts'
import { chmodSync, rmSync } from '../platform/files.ts'
import { withAgo } from './agoArguments.ts'
import { identityHelp } from './archivePlace.ts'
import { durationOf, parseAll } from './commandArguments.ts'
import { DataOutput } from './dataOutput.ts'
import { showHelp } from './helpOutput.ts'
import { countOf, momentOf, PLACE_HELP, positionText, withArchive } from './pastArguments.ts'
import type { ReadProgress } from './readProgress.ts'
import { type RowFormat, RowPrinter } from './rowPrinter.ts'
import { usage } from './usage.ts'

const DEFAULT_TIMEOUT_MS = 60_000
/** The file that --open makes: nobody writes to the past. */
const READ_ONLY = 0o400

const HELP = `walcast at TIME|POSITION|NAME 'SELECT ...' --from PLACE [options]
walcast at TIME|POSITION|NAME --open FILE --from PLACE

Answers a query on the database as it was. Only the pages that the query needs are read from the
archive; nothing is restored, and nothing is written.

  --from PLACE     the archive
${identityHelp(15)}
  --json           one JSON object a row
  --csv            CSV, with a line of names
  --limit N        stop after N rows
  --timeout T      give up after this time [60s]
  --prove          read every page first, and compare the state checksum of the position. Without
                   it, every block that is read is verified by its own checksum, and the files by
                   their order; that the archive holds the right pages is not proven
  --open FILE      restore that state into a new, read-only FILE instead, proven, for other programs

${PLACE_HELP}

Functions, collations and virtual tables of the application are not there, and a database in UTF-16
cannot be asked: use --open.
`

export const FLAGS = {
  help: { type: 'boolean' },
  from: { type: 'string' },
  identity: { type: 'string' },
  json: { type: 'boolean' },
  csv: { type: 'boolean' },
  limit: { type: 'string' },
  timeout: { type: 'string' },
  prove: { type: 'boolean' },
  open: { type: 'string' },
} as const

export async function runAt(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseAll(withAgo(args), FLAGS)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const [when, sql, extra] = positionals
  const moment = momentOf('at', when)
  if (extra !== undefined) throw usage('at takes a moment and one query: put the query in quotes')
  if ((sql === undefined) === (values.open === undefined))
    throw usage(
      sql === undefined ? 'give a query or --open FILE' : 'a query and --open exclude each other',
    )
  const query: Query = {
    sql: sql ?? '',
    format: formatOf(values),
    limit: countOf('--limit', values.limit),
    timeoutMs: durationOf('--timeout', values.timeout) ?? DEFAULT_TIMEOUT_MS,
    isProven: values.prove ?? false,
  }
  const { open, from, identity, json: isJson = false } = values
  const given = { flag: '--from', place: from, identity }
  if (open !== undefined) {
    requireFree(open)
    return withArchive(given, isJson, async (archive, reading) => {
      await openAs(archive, await archive.find(moment), open, reading)
      return 0
    })
  }
  const asked = new PastQuery()
  try {
    return await withArchive(given, isJson, async (archive, reading) => {
      await answer(archive, await archive.find(moment), query, { asked, reading })
      return 0
    })
  } finally {
    await asked.stop()
  }
}

interface Query {
  readonly sql: string
  readonly format: RowFormat
  readonly limit: number | undefined
  readonly timeoutMs: number
  readonly isProven: boolean
}

function formatOf({
  json,
  csv,
}: {
  readonly json?: boolean | undefined
  readonly csv?: boolean | undefined
}): RowFormat {
  if (json && csv) throw usage('--json and --csv exclude each other')
  return json ? 'json' : csv ? 'csv' : 'text'
}

async function answer(
  archive: PastArchive,
  found: FoundPosition,
  query: Query,
  { asked, reading }: { readonly asked: PastQuery; readonly reading: ReadProgress },
): Promise<void> {
  const pages = await archive.pages(found)
  if (query.isProven) await pages.prove()
  // Rows come from now on, perhaps to the same terminal.
  reading.end()
  const output = new DataOutput(process.stdout)
  const printer = new RowPrinter(query.format, query.limit, output)
  try {
    await asked.run(pages, query.sql, printer, query)
    await printer.end()
  } finally {
    await output.end()
  }
  const proof = query.isProven ? 'all pages proven' : 'blocks verified, not all pages (--prove)'
  process.stderr.write(`at ${positionText(found.position)}; ${proof}\n`)
}

/** Before the archive is read. Throws RESTORE_REFUSED: nothing that is there is replaced. */
function requireFree(path: string): void {
  try {
    restorePlace(path, false, undefined)
  } catch (error) {
    if (keyOf(error) !== 'RESTORE_REFUSED') throw error
    const cure = 'give --open the path of a file that is not there, in a folder that is'
    throw new WalcastError('RESTORE_REFUSED', { message: messageOf(error), cure }, error)
  }
}

async function openAs(
  archive: PastArchive,
  found: FoundPosition,
  path: string,
  reading: ReadProgress,
): Promise<void> {
  const way = await archive.way(found)
  reading.begin('restoring', bytesOf(way))
  await restore(path, archive.opensOf(way), found.position, systemFileOps)
  reading.end()
  try {
    chmodSync(path, READ_ONLY)
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  }
  process.stdout.write(`${path}\n`)
  process.stderr.write(`at ${positionText(found.position)}; all pages proven\n`)
}
