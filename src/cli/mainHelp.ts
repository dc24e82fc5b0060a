/** The help of `walcast`: every command in a line. */
import { COMMAND_GROUPS } from './commandTable.ts'

const NAME_COLUMNS = 15

export function mainHelp(): string {
  const groups = COMMAND_GROUPS.map(({ title, commands }) =>
    [title, ...Object.entries(commands).map(([name, about]) => line(name, about))].join('\n'),
  )
  return `walcast: live replication of one SQLite database

Usage: walcast COMMAND [options]

${groups.join('\n\n')}

  walcast help COMMAND      show the options of a command, as walcast COMMAND --help and -h do
  walcast version           show the version, as --version does

Exit codes: 0 ok, 1 failure, 2 usage. For diff: 0 same, 1 different, 2 usage, 3 failure.
`
}

function line(name: string, about: string): string {
  return `  ${name.padEnd(NAME_COLUMNS)}${about}`
}
