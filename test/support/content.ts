/**
 * The content of a database, row by row, as Python's SQLite reads it. A row is a text with its
 * table, its first column and a hash of all columns. So a test can tell what one copy has and
 * another lacks, without trusting a node.
 */
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import type { Lab } from './lab.ts'

export interface Content {
  /** Why it cannot be used; '' when it is sound. */
  readonly problem: string
  readonly rows: ReadonlySet<string>
}

export interface ContentOptions {
  /** The expected sum of all balances; without it soundness is not checked. */
  readonly total?: number
  readonly readOnly?: boolean
}

let copies = 0

/** The content of a database that others may have open, in one read transaction. */
export async function contentOf(
  lab: Lab,
  path: string,
  options: ContentOptions = {},
): Promise<Content> {
  const { total = 0, readOnly = true } = options
  const child = lab.python('content', { path, total, readOnly })
  child.expectEnd()
  const { text } = await child.line((line) => line.startsWith('{'))
  await child.ended
  const { problem, rows }: { problem: string; rows: string[] } = JSON.parse(text)
  return { problem, rows: new Set(rows) }
}

/** The content of files that must stay unchanged: a copy of them is read. */
export async function contentOfFiles(lab: Lab, path: string, total?: number): Promise<Content> {
  const copy = lab.path(`content${++copies}.db`)
  for (const suffix of ['', '-wal'])
    if (existsSync(`${path}${suffix}`)) copyFileSync(`${path}${suffix}`, `${copy}${suffix}`)
  try {
    return await contentOf(lab, copy, {
      ...(total === undefined ? {} : { total }),
      readOnly: false,
    })
  } finally {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${copy}${suffix}`, { force: true })
  }
}
