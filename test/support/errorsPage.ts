/** Makes docs/errors.md from the catalogue of errors. */
import { fileURLToPath } from 'node:url'
import { CATALOGUE } from '../../src/errorCatalogue.ts'

export const ERRORS_PAGE = fileURLToPath(new URL('../../../docs/errors.md', import.meta.url))

const HEAD = `# Errors

Match on the code in programs: its meaning never changes, while texts may. \`{name}\` is a
placeholder that each message fills in.

- **Over HTTP** an error is JSON with \`code\`, and mostly \`message\` and \`cure\` (what to do).
  The status is the one below.
- **On the command line** it is one line on standard error: \`CODE: message; what to do\`. The exit
  code is 1, or 2 for \`WALCAST_USAGE\`.
- **In a program** it is a \`WalcastError\` with \`code\`.

\`scripts/errors\` writes this page from \`src/errorCatalogue.ts\`; \`npm test\` compares the two.
`

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

/** One row for each code, in alphabetical order. */
export function errorsPage(): string {
  const rows = Object.entries(CATALOGUE)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([key, { status, what, cure }]) =>
        `| \`WALCAST_${key}\` | ${status} | ${cell(what)} | ${cell(cure)} |`,
    )
  return [HEAD, '| code | status | message | what to do |', '|---|---|---|---|', ...rows, ''].join(
    '\n',
  )
}
