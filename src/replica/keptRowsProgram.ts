/** The process that `keptRows.ts` runs: arguments BEFORE AFTER TO, the result as JSON on standard output, a failure as one line on standard error. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { asWalcastError } from '../errors.ts'
import { type Difference, diffDatabases } from '../sqlite/rowDiff.ts'
import { jsonOf } from '../sqlite/rowJson.ts'
import type { RowResult } from './keptRows.ts'

const FLUSH_CHARS = 1024 * 1024
/** Of the list; rows beyond are counted and not told. */
const MAX_LIST_BYTES = 256 * 1024 * 1024

function list(before: string, after: string, to: string): RowResult {
  const partial = `${to}.partial`
  const fd = openSync(partial, 'w', 0o600)
  let result: RowResult | undefined
  let text = ''
  let bytes = 0
  let isCut = false
  for (const difference of diffDatabases(before, after)) {
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
    rows.added += counts.added
  }
  return { rows, isComplete: !isCut && summary.skipped.length === 0 && summary.schemaDifferences === 0 }
}

try {
  const [before, after, to] = process.argv.slice(2)
  process.stdout.write(JSON.stringify(list(before, after, to)))
} catch (error) {
  process.stderr.write(`${asWalcastError(error).line}\n`)
  process.exitCode = 1
}
