/** What zsh and fish offer for unfinished command lines, as a person at a terminal gets it. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Longer than a shell takes for all lines of a test. */
const TIMEOUT_MS = 60_000

/**
 * A shell with a terminal of its own gets each line and a tab. Its function that adds matches
 * prints them too.
 */
const ZSH_DRIVER = `
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; PS2=; unset zle_bracketed_paste; stty -echo cols 200; cd /"
zpty -w z "autoload -U compinit; compinit -u -D; source $1; bindkey '^I' complete-word"
zpty -w z 'compadd () {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi
  local -a hits; builtin compadd -A hits "$@"; builtin compadd "$@"; local result=$? hit
  for hit in $hits; do print -r -- "<HIT>$IPREFIX$hit</HIT>"; done
  return $result
}
ended () { print "<END>"; comppostfuncs=(ended) }
comppostfuncs=(ended)
print READ""Y'
while zpty -r z text; do [[ $text == *READY* ]] && break; done
for line in "\${@:2}"; do
  zpty -w -n z "$line"$'\\t'
  print -r -- "<LINE>"
  while zpty -r z text; do
    print -r -- "$text"
    [[ $text == *"<END>"* ]] && break
  done
  zpty -w -n z $'\\x15'
done
zpty -d z
`

function run(shell: string, args: readonly string[], home: string): string {
  const env = { PATH: process.env['PATH'], HOME: home, TERM: 'xterm', LC_ALL: 'C.UTF-8' }
  const { stdout, stderr, error, status } = spawnSync(shell, args, {
    ...{ env, encoding: 'utf8', timeout: TIMEOUT_MS, cwd: '/' },
  })
  if (error || status !== 0)
    throw new Error(`${shell} ended with ${status}: ${stderr}`, { cause: error })
  return stdout
}

/** For each line its words in the order of the shell. `folder`: of files that it may write. */
export function offeredByZsh(folder: string, script: string, lines: readonly string[]): string[][] {
  const [completion, driver] = [join(folder, '_walcast'), join(folder, 'driver.zsh')]
  writeFileSync(completion, script)
  writeFileSync(driver, ZSH_DRIVER)
  const said = run('zsh', ['-f', driver, completion, ...lines], folder)
    .split('<LINE>')
    .slice(1)
  return said.map((text) => [...text.matchAll(/<HIT>(.*?)<\/HIT>/g)].map(([, word]) => word))
}

/** The same of fish, without descriptions. */
export function offeredByFish(
  folder: string,
  script: string,
  lines: readonly string[],
): string[][] {
  const completion = join(folder, 'walcast.fish')
  writeFileSync(completion, script)
  const asked = 'source $argv[1]; for line in $argv[2..-1]; echo "<LINE>"; complete -C $line; end'
  const said = run('fish', ['--no-config', '--private', '-c', asked, completion, ...lines], folder)
  return said
    .split('<LINE>\n')
    .slice(1)
    .map((text) =>
      text
        .split('\n')
        .slice(0, -1)
        .map((word) => word.split('\t')[0]),
    )
}
