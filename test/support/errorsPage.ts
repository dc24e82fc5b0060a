/** Makes docs/errors.md from the catalogue of errors. */
import { fileURLToPath } from 'node:url'
import { errorForms, explainedCodes } from '../../src/cli/explain.ts'

export const ERRORS_PAGE = fileURLToPath(new URL('../../../docs/errors.md', import.meta.url))

const HEAD = `# Errors

Match on the code in programs: its meaning never changes, while texts may. \`{name}\` is a
placeholder that each message fills in.

${formLines()}

\`walcast explain CODE\` prints one row of this table.

\`scripts/errors\` writes this page from \`src/errorCatalogue.ts\`; \`npm test\` compares the two.
`

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

/** One row for each code, in alphabetical order. */
export function errorsPage(): string {
  const rows = explainedCodes().map(
    ({ code, status, what, cure }) => `| \`${code}\` | ${status} | ${cell(what)} | ${cell(cure)} |`,
  )
  return [HEAD, '| code | status | message | what to do |', '|---|---|---|---|', ...rows, ''].join(
    '\n',
  )
}

/** Each in a line of the page. */
function formLines(): string {
  return errorForms('with the status below', 'The exit code is 1, or 2 for WALCAST_USAGE.')
    .map((form) => `- ${form.replace(/ (?=The exit|Match)/, '\n  ')}`)
    .join('\n')
}
