/**
 * The process that `keptRows.ts` asks with a `CompareOrder`. Its files get their names when they
 * are whole; a bundle that a crash has left half compared is compared again.
 */
import { answerInThread } from '../../platform/childAnswer.ts'
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  readFileSync,
  renameSync,
  writeSync,
} from '../../platform/files.ts'
import { openPlain } from '../../platform/plainFiles.ts'
import { type Difference, diffDatabases } from '../../rowdiff/rowDiff.ts'
import { jsonOf } from '../../rowdiff/rowJson.ts'
import { makeKeptDatabase } from './keptDatabase.ts'
import type { KeptDivergence } from './keptFolder.ts'
import type { CompareOrder, RowResult } from './keptRows.ts'

const FLUSH_CHARS = 1024 * 1024
/** Size of the list. Rows beyond it are counted and not listed. */
const MAX_LIST_BYTES = 256 * 1024 * 1024

/** Looks up each kept row in the live database, so that the work depends on the kept rows only. */
function compare(folder: string, live: string): RowResult {
  const database = `${folder}/database.db`
  const about: KeptDivergence = JSON.parse(readFileSync(`${folder}/about.json`, 'utf8'))
  // A bundle without images is of an earlier version, and its database.db is the whole copy.
  const isDecoded =
    !existsSync(`${folder}/pages.bin`) || makeKeptDatabase(folder, about.pageSize, database, live)
  if (!existsSync(database))
    return { rows: { removed: 0, changed: 0, added: 0 }, isComplete: false }
  const { rows, isComplete } = list(database, live, `${folder}/rows.jsonl`)
  return { rows, isComplete: isComplete && isDecoded }
}

function list(before: string, after: string, to: string): RowResult {
  const partial = `${to}.partial`
  const fd = openPlain(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600)
  let result: RowResult | undefined
  let text = ''
  let bytes = 0
  let isCut = false
  for (const difference of diffDatabases(before, after, { isOneSided: true })) {
    isCut ||= bytes > MAX_LIST_BYTES
    const line = isCut && difference.type === 'row' ? undefined : jsonOf(difference)
    if (line !== undefined) text += `${JSON.stringify(line)}\n`
    if (text.length > FLUSH_CHARS) {
      bytes += text.length
      text = flush(fd, text)
    }
    if (difference.type === 'summary') result = resultOf(difference, isCut)
  }
  flush(fd, text)
  fsyncSync(fd)
  closeSync(fd)
  renameSync(partial, to)
  return result ?? { rows: { removed: 0, changed: 0, added: 0 }, isComplete: false }
}

function flush(fd: number, text: string): '' {
  const bytes = Buffer.from(text)
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
  return ''
}

function resultOf(summary: Extract<Difference, { type: 'summary' }>, isCut: boolean): RowResult {
  const rows = { removed: 0, changed: 0, added: 0 }
  for (const { counts } of summary.tables) {
    rows.removed += counts.removed
    rows.changed += counts.changed
  }
  // A virtual table has no rows of its own; its shadow tables hold them.
  const skipped = summary.skipped.filter(({ hasRows }) => hasRows)
  return { rows, isComplete: !isCut && skipped.length === 0 && summary.schemaDifferences === 0 }
}

answerInThread('replica/diverged/keptRowsProgram', ({ folder, live }: CompareOrder) =>
  compare(folder, live),
)
