/**
 * Prose of the documents: at most 100 columns a line. Tables, code and generated figures may be
 * wider.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const MAX_COLUMNS = 100

const PAGES = [
  ...['README.md', 'CHANGELOG.md', 'bench/README.md', 'proto/PROTOCOL.md'],
  ...['docs', 'examples'].flatMap((folder) =>
    readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
]

/** Numbers of the lines of prose that are too long. A line that is one word cannot be shorter. */
function longLines(text: string): number[] {
  const blank = (block: string) => block.replace(/[^\n]/g, '')
  const prose = text
    .replace(/^```[\s\S]*?^```$/gm, blank)
    .replace(/<!-- bench:begin -->[\s\S]*<!-- bench:end -->/, blank)
  return prose
    .split('\n')
    .flatMap((line, i) =>
      [...line].length > MAX_COLUMNS && !/^(\||#| {4})/.test(line) && /\S\s+\S/.test(line)
        ? [i + 1]
        : [],
    )
}

test('no line of prose is longer than 100 columns', () => {
  assert.ok(PAGES.length > 20)
  assert.deepEqual(
    PAGES.flatMap((page) =>
      longLines(readFileSync(`${ROOT}${page}`, 'utf8')).map((line) => `${page}:${line}`),
    ),
    [],
  )
})

test('a line that is too long is found, outside of tables and code', () => {
  const long = 'word '.repeat(30)
  assert.deepEqual(longLines(`one\n${long}\n- ${long}\n`), [2, 3])
  assert.deepEqual(
    longLines(`| ${long} |\n    ${long}\n\`\`\`\n${long}\n\`\`\`\n# ${long}\n${'a'.repeat(101)}\n`),
    [],
  )
})
