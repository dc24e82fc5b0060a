/** The completion script of bash, 3.2 and later. Pure. */
import type { CommandWords, Takes } from './commandWords.ts'
import { flagsOf, valueCases } from './shellCases.ts'

export function bashScript(commands: readonly CommandWords[]): string {
  const names = commands.map(({ name }) => name).join(' ')
  const values = valueCases(commands).map(
    ({ after, takes }) =>
      `    ${after.map((pair) => `'${pair}'`).join(' | ')})\n      ${act(takes)}\n      return ;;`,
  )
  const rest = commands.map(
    (each) => `    ${each.name})
      if [[ $cur == -* ]]; then _walcast_words '${flagsOf(each)}'
      else ${act(each.argument)}; fi ;;`,
  )
  return `# bash completion of walcast: source <(walcast completion bash)
_walcast_words() {
  local IFS=$' \\t\\n'
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_walcast_paths() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$cur"))
}

_walcast() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command i
  COMPREPLY=()
  # bash takes "--flag=value" for three words.
  if [[ $cur == = ]]; then cur=
  elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  command=\${COMP_WORDS[1]}
  if ((COMP_CWORD == 1)) || [[ $command == help ]]; then
    if ((COMP_CWORD <= 2)); then _walcast_words '${names} help version --help --version'; fi
    return
  fi
  # What follows is a command of the application.
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} == -- ]]; then
      _walcast_paths
      return
    fi
  done
  case "$command $prev" in
${values.join('\n')}
  esac
  case $command in
${rest.join('\n')}
  esac
}

complete -F _walcast walcast
`
}

function act(takes: Takes): string {
  if (takes === 'path') return '_walcast_paths'
  return typeof takes === 'string' ? ':' : `_walcast_words '${takes.join(' ')}'`
}
