/**
 * How many columns of a terminal a text takes, and how it is cut to fewer. Unicode's tables are
 * made when a text needs them, since few do and they take a tenth of a command's time.
 */

/** Blocks of wide and full-width characters, as Unicode Standard Annex #11 has them. */
const WIDE =
  '^[\\u1100-\\u115f\\u2e80-\\u303e\\u3041-\\ua4cf\\ua960-\\ua97f\\uac00-\\ud7a3\\uf900-\\ufaff' +
  '\\ufe10-\\ufe19\\ufe30-\\ufe6f\\uff01-\\uff60\\uffe0-\\uffe6' +
  '\\u{1b000}-\\u{1b2ff}\\u{20000}-\\u{3fffd}]|\\p{Emoji_Presentation}|\\ufe0f'
/** Marks that stand over the character before them, and what a terminal does not show. */
const NO_WIDTH = '^[\\p{Mn}\\p{Me}\\p{Cf}\\p{Cc}]+$'
/** Most texts: each character is one column. */
const ASCII = /^[\x20-\x7e]*$/

const MARK = '\u2026'

interface Tables {
  readonly segmenter: Intl.Segmenter
  readonly wide: RegExp
  readonly noWidth: RegExp
}

let madeTables: Tables | undefined

function tables(): Tables {
  madeTables ??= {
    segmenter: new Intl.Segmenter('en', { granularity: 'grapheme' }),
    wide: new RegExp(WIDE, 'u'),
    noWidth: new RegExp(NO_WIDTH, 'u'),
  }
  return madeTables
}

export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const grapheme of graphemesOf(text)) width += graphemeWidth(grapheme)
  return width
}

function graphemesOf(text: string): string[] {
  return [...tables().segmenter.segment(text)].map(({ segment }) => segment)
}

function graphemeWidth(grapheme: string): number {
  const { noWidth, wide } = tables()
  if (noWidth.test(grapheme)) return 0
  return wide.test(grapheme) ? 2 : 1
}

/**
 * The text itself when it fits; else its beginning and end around an ellipsis, in `width` columns
 * at most. `width`: 0 or more.
 */
export function cutMiddle(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width < 1) return ''
  const all = graphemesOf(text)
  const left = Math.ceil((width - 1) / 2)
  const head = taken(all, left)
  const tail = taken(all.toReversed(), width - 1 - left)
  return `${head.join('')}${MARK}${tail.toReversed().join('')}`
}

/** The first graphemes that fit into `width` columns. */
function taken(graphemes: readonly string[], width: number): string[] {
  let used = 0
  const end = graphemes.findIndex((each) => {
    used += graphemeWidth(each)
    return used > width
  })
  return graphemes.slice(0, end < 0 ? graphemes.length : end)
}

/** With spaces up to `width` columns, behind it or before it. */
export function padded(text: string, width: number, isRight = false): string {
  const spaces = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return isRight ? `${spaces}${text}` : `${text}${spaces}`
}

/**
 * Lines of at most `width` columns, broken at spaces; a word that is longer stands alone and is not
 * broken. `width`: 1 or more.
 */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line !== '' && displayWidth(longer) > width) {
      lines.push(line)
      line = word
    } else line = longer
  }
  return [...lines, line]
}
