/**
 * SQLite's own check of a whole database (https://sqlite.org/pragma.html#pragma_integrity_check),
 * in a thread of its own: it reads every page.
 */
import { close, exec, open, rows, SqliteThread } from './sqliteThread.ts'

export type IntegrityCheck =
  | { readonly outcome: 'ok' }
  | { readonly outcome: 'unsound'; readonly problems: readonly string[] }
  /** For want of a function, a collation or a module that only the application has. */
  | { readonly outcome: 'impossible'; readonly detail: string }

const MAX_PROBLEMS = 5
const CONNECTION = 'integrity'

/** The second one leaves out whether indices and tables agree, and takes a fraction of the time. */
export type CheckKind = 'integrity_check' | 'quick_check'

/**
 * Checks the database at `path`, which no other program may have open. Changes nothing in it, and
 * leaves no log beside it.
 */
export async function checkIntegrity(
  path: string,
  kind: CheckKind = 'integrity_check',
): Promise<IntegrityCheck> {
  const thread = new SqliteThread()
  try {
    const [opened, , checked] = await thread.attempt(
      open(CONNECTION, path),
      exec(CONNECTION, 'PRAGMA locking_mode = EXCLUSIVE'),
      rows(CONNECTION, `PRAGMA ${kind}(${MAX_PROBLEMS})`),
      close(CONNECTION),
    )
    const failed = [opened, checked].find((result) => !result.ok)
    if (failed && !failed.ok) {
      const detail = `${failed.code} ${failed.detail}`
      return /^SQLITE_(CORRUPT|NOTADB)/.test(failed.code)
        ? { outcome: 'unsound', problems: [detail] }
        : { outcome: 'impossible', detail }
    }
    const problems = problemsIn(checked)
    return problems.length === 1 && problems[0] === 'ok'
      ? { outcome: 'ok' }
      : { outcome: 'unsound', problems }
  } finally {
    await thread.stop([])
  }
}

function problemsIn(checked: { readonly ok: boolean; readonly value?: unknown }): string[] {
  const found = checked.value as readonly Readonly<Record<string, string>>[]
  return found.flatMap((row) => Object.values(row))
}
