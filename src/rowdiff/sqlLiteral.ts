/** Writes values as SQL literals that give back exactly the same value and type. */
import type { TextEncoding } from '../sqlite/databaseHeader.ts'
import type { SqlValue } from './rowValues.ts'

/**
 * Characters that shells and editors may not leave as they are: controls other than tab and line
 * feed.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const ODD = /[\0-\x08\x0b-\x1f\x7f]/
/** What ends a line for some reader, moves the cursor or turns the direction of the text. */
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
/** SQLite bounds the depth of an expression (1000), and so the number of concatenations. */
const MAX_PARTS = 100

/** A literal for a database of that encoding. Text keeps its line feeds. */
export function sqlLiteral(value: SqlValue, encoding: TextEncoding): string {
  if (value === null) return 'NULL'
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return realLiteral(value)
  if (typeof value === 'string')
    return ODD.test(value) ? textOfBytes(hexOf(value, encoding)) : quoted(value)
  return value.type === 'blob' ? `x'${value.hex}'` : textOfBytes(value.hex)
}

/**
 * The same on one line, of visible characters only: for a comment, from which a person may take it.
 */
export function oneLineLiteral(value: SqlValue, encoding: TextEncoding): string {
  if (typeof value !== 'string' || !UNSEEN.test(value)) return sqlLiteral(value, encoding)
  const parts = value.split(new RegExp(`(${UNSEEN.source})`, 'u')).filter((part) => part !== '')
  // Not every version of SQLite gives a text that holds a NUL whole to its functions.
  if (parts.length > MAX_PARTS || value.includes('\0')) return textOfBytes(hexOf(value, encoding))
  const texts = parts.map((part) =>
    UNSEEN.test(part) ? `char(${part.codePointAt(0)})` : quoted(part),
  )
  return texts.length === 1 ? texts[0] : `(${texts.join(' || ')})`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function textOfBytes(hex: string): string {
  return `CAST(x'${hex}' AS TEXT)`
}

/** 17 significant digits tell every REAL from its neighbours. */
function realLiteral(value: number): string {
  if (Number.isFinite(value)) return value.toExponential(16)
  return value > 0 ? '9e999' : '-9e999'
}

function hexOf(text: string, encoding: TextEncoding): string {
  if (encoding === 'UTF-8') return Buffer.from(text, 'utf8').toString('hex')
  const bytes = Buffer.from(text, 'utf16le')
  return (encoding === 'UTF-16le' ? bytes : bytes.swap16()).toString('hex')
}
