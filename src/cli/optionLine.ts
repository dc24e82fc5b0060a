/** How the help shows an option. */

const MAX_COLUMNS = 100
const FLAG_COLUMNS = 22
const INDENT = ' '.repeat(FLAG_COLUMNS + 3)

/** The flag, and beside it what it does, in lines of at most 100 columns. */
export function optionLine(flag: string, text: string): string {
  const lines = [`  ${flag.padEnd(FLAG_COLUMNS)}`]
  if (flag.length > FLAG_COLUMNS) lines.push(INDENT.slice(1))
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`
    if (line.length <= MAX_COLUMNS) lines[lines.length - 1] = line
    else lines.push(`${INDENT}${word}`)
  }
  return lines.join('\n')
}
