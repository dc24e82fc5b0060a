/** docs/errors.md as the catalogue of errors makes it. */
import { fileURLToPath } from 'node:url'
import { CATALOGUE } from '../../src/errorCatalogue.ts'

export const ERRORS_PAGE = fileURLToPath(new URL('../../../docs/errors.md', import.meta.url))

const HEAD = `# Errors

Programs match on the code, which is never reused for another meaning; texts may change. \`{name}\`
stands for what a message fills in.

- **Over HTTP** an error of this list is JSON with \`code\`; most have \`message\` and \`cure\` (what to
  do) too. The status is the one below.
- **On the command line** it is one line on standard error: \`CODE: message; what to do\`. The exit
  code is 1, for \`WALCAST_USAGE\` 2.
- **In a program** it is a \`WalcastError\` with \`code\`.

\`scripts/errors\` writes this page from \`src/errorCatalogue.ts\`; \`npm test\` compares them.
`

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

/** One row for each code, in the order of the alphabet. */
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
