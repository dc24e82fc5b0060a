/** SQL text made from names. */
import { UNSEEN } from '../plainText.ts'

/** A text in single quotes, whatever it contains. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** An identifier in double quotes, whatever it contains. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The form under which SQLite takes two names for the same: it folds A to Z and nothing else. */
export function foldName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

/**
 * `conditions` joined by OR as a balanced tree, '' when there are none: SQLite bounds the depth of
 * an expression (1000).
 */
export function anyOf(conditions: readonly string[]): string {
  if (conditions.length <= 1) return conditions[0] ?? ''
  const middle = conditions.length >> 1
  return `(${anyOf(conditions.slice(0, middle))} OR ${anyOf(conditions.slice(middle))})`
}

/**
 * Comment lines of SQL. Only a line feed ends a comment in SQLite; a carriage return ends a line
 * for people. What could steer a terminal becomes U+FFFD.
 */
export function comment(text: string): string {
  return text
    .replaceAll('\0', '')
    .split(/\r\n|\r|\n/)
    .map((line) => `-- ${visibleSql(line)}\n`)
    .join('')
}

/** SQL for a terminal: it reads as before, and is not for running where it has changed. */
export function visibleSql(sql: string): string {
  return sql.replace(UNSEEN, (character) => (/[\t\n]/.test(character) ? character : '\u{fffd}'))
}
