/** The completion script of zsh. Pure. */
import { COMMAND_GROUPS } from '../commandTable.ts'
import type { CommandWords, Takes } from './commandWords.ts'
import { flagsOf, valueCases } from './shellCases.ts'

export function zshScript(commands: readonly CommandWords[]): string {
  const described = COMMAND_GROUPS.flatMap((group) => Object.entries(group.commands))
    .map(([name, about]) => `    ${quoted(`${name}:${about.replaceAll(':', '\\:')}`)}`)
    .join('\n')
  const values = valueCases(commands).map(
    ({ after, takes }) =>
      `    ${after.map((pair) => quoted(pair)).join('|')}) ${act(takes)}; return ;;`,
  )
  const rest = commands.map(
    (each) => `    ${each.name})
      if [[ $PREFIX == -* ]]; then compadd -- ${flagsOf(each)}
      else ${act(each.argument)}; fi ;;`,
  )
  return `#compdef walcast
# zsh completion of walcast: source <(walcast completion zsh)
_walcast() {
  local command=$words[2] prev=$words[CURRENT-1]
  local -a commands
  commands=(
${described}
    'help:show the options of a command'
    'version:show the version'
  )
  if (( CURRENT == 2 )) || [[ $command == help ]]; then
    if [[ $PREFIX == -* ]]; then compadd -- --help --version
    elif (( CURRENT <= 3 )); then _describe command commands; fi
    return
  fi
  # What follows is a command of the application.
  if (( \${words[(i)--]} < CURRENT )); then
    _files
    return
  fi
  if [[ $PREFIX == --*=* ]]; then
    prev=\${PREFIX%%=*}
    compset -P '*='
  fi
  case "$command $prev" in
${values.join('\n')}
  esac
  case $command in
${rest.join('\n')}
  esac
}

if [[ $funcstack[1] == _walcast ]]; then _walcast "$@"
else compdef _walcast walcast; fi
`
}

function act(takes: Takes): string {
  if (takes === 'path') return '_files'
  return typeof takes === 'string' ? ':' : `compadd -- ${takes.join(' ')}`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
