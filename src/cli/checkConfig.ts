/** `walcast check-config`: every mistake in the options of a node, without starting it. */
import { configMistakes } from './configMistakes.ts'
import { beforeCommand } from './runArguments.ts'

const HELP = `walcast check-config [options] [-- COMMAND ARGS...]

Checks the options of a node as walcast node, or walcast run with a COMMAND, would read them: flags,
environment, and the file of --config. Names every mistake at once, and an unknown key or variable
with the one that was probably meant. Starts and writes nothing.

Exit code: 0 when they are sound; 1 when the file of --config or the secret cannot be used; else 2.

  options    those of walcast node and walcast run: see walcast node --help --all
`

export async function runCheckConfig(args: readonly string[]): Promise<number> {
  if (beforeCommand(args).includes('--help')) {
    process.stdout.write(HELP)
    return 0
  }
  const mistakes = configMistakes(args, process.env)
  if (mistakes) throw mistakes
  process.stdout.write('the options are sound\n')
  return 0
}
