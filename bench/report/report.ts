/** Writes the report of a folder of results beside them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { reportHtml } from './html.ts'
import { readmeBlock, replaceBlock } from './readme.ts'
import { readResults } from './readResults.ts'
import { summarySvg } from './svg.ts'

export interface ReportRequest {
  readonly folder: string
  /** How each suite takes its numbers, in the order of the report. */
  readonly notes: ReadonlyMap<string, string>
  /** The README whose block is written, if any. */
  readonly readme?: string
  /** Tells a person which files could not be read and which were written. */
  progress(text: string): void
}

/** The files that a report writes, beside the results. */
const HTML_FILE = 'report.html'
export const SVG_FILE = 'summary.svg'

/** Throws when there is no such folder. */
export function writeReport({ folder, notes, readme, progress }: ReportRequest): void {
  if (!existsSync(folder))
    throw new Error(`report: there is no folder ${folder}: measure something first`)
  const read = readResults(folder, [...notes.keys()])
  for (const line of read.unreadable) progress(`report: ${line}`)
  if (read.results.length === 0) progress(`report: there are no results in ${folder}`)
  write(join(folder, HTML_FILE), reportHtml(read, notes), progress)
  write(join(folder, SVG_FILE), summarySvg(read.results), progress)
  if (readme === undefined) return
  const block = readmeBlock(read.results, relative(join(readme, '..'), join(folder, SVG_FILE)))
  write(readme, replaceBlock(readFileSync(readme, 'utf8'), block), progress)
}

function write(path: string, text: string, progress: (text: string) => void): void {
  writeFileSync(path, text)
  progress(`wrote ${path}`)
}
