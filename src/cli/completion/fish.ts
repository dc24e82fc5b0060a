/** The completion script of fish. Pure. */
import { COMMAND_GROUPS } from '../commandTable.ts'
import type { CommandWords, Takes } from './commandWords.ts'

export function fishScript(commands: readonly CommandWords[]): string {
  const described = COMMAND_GROUPS.flatMap((group) => Object.entries(group.commands)).map(
    ([name, about]) => `complete -c walcast -n __walcast_first -a ${name} -d ${quoted(about)}`,
  )
  const lines = commands.flatMap(({ name, options, argument }) => {
    const of = `complete -c walcast -n '__walcast_command ${name}'`
    return [
      ...options.map(({ flag, takes }) => `${of} -l ${flag}${optionTakes(takes)}`),
      ...(argument === 'text' ? [] : [`${of}${argumentTakes(argument)}`]),
    ]
  })
  const names = commands.map(({ name }) => name).join(' ')
  return `# fish completion of walcast: walcast completion fish | source
function __walcast_first
  test (count (commandline -opc)) -eq 1
end

function __walcast_application
  contains -- -- (commandline -opc)
end

function __walcast_command
  set -l words (commandline -opc)
  test (count $words) -gt 1; and test $words[2] = $argv[1]; and not __walcast_application
end

complete -c walcast -f
${described.join('\n')}
complete -c walcast -n __walcast_first -a help -d 'show the options of a command'
complete -c walcast -n __walcast_first -a version -d 'show the version'
complete -c walcast -n __walcast_first -l help -d 'show the commands'
complete -c walcast -n __walcast_first -l version -d 'show the version'
# What follows is a command of the application.
complete -c walcast -n __walcast_application -F
complete -c walcast -n '__walcast_command help' -a '${names}'
${lines.join('\n')}
`
}

function optionTakes(takes: Takes): string {
  if (takes === 'nothing') return ''
  if (takes === 'path') return ' -r -F'
  return takes === 'text' ? ' -x' : ` -x -a '${takes.join(' ')}'`
}

function argumentTakes(takes: Takes): string {
  return takes === 'path' || typeof takes === 'string' ? ' -F' : ` -a '${takes.join(' ')}'`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
