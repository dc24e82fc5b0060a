/** `walcast completion SHELL`: the script by which a shell completes words of walcast. */
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { parseAll } from './commandArguments.ts'
import { bashScript } from './completion/bash.ts'
import { commandWords, SHELLS } from './completion/commandWords.ts'
import { fishScript } from './completion/fish.ts'
import { zshScript } from './completion/zsh.ts'
import { showHelp } from './helpOutput.ts'

const HELP = `walcast completion bash|zsh|fish

Prints the script by which a shell completes commands, options and their values:

  bash    source <(walcast completion bash)      in ~/.bashrc
  zsh     source <(walcast completion zsh)       in ~/.zshrc, below compinit
  fish    walcast completion fish | source       in ~/.config/fish/config.fish

Or write it once to a file, which is faster: /etc/bash_completion.d/walcast, a file _walcast in a
folder of zsh's $fpath, or ~/.config/fish/completions/walcast.fish.
`

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

export async function runCompletion(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseAll(args, { help: { type: 'boolean' } })
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const shell = SHELLS.find((known) => known === positionals[0])
  if (!shell || positionals.length > 1) {
    const given = plainText(positionals.join(' '), 100)
    throw new WalcastError('USAGE', {
      detail: `completion takes one of ${SHELLS.join(', ')}${given && `, not "${given}"`}`,
    })
  }
  process.stdout.write(SCRIPTS[shell](await commandWords()))
  return 0
}
