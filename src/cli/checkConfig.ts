/** `walcast check-config`: every mistake in the options of a node, without starting it. */
import { WalcastError } from '../errors.ts'
import { requireSoundOptions } from '../node/soundOptions.ts'
import { readSecret } from '../security/givenSecret.ts'
import { unknownVariablesText } from './environment.ts'
import { logSettings } from './logOptions.ts'
import { nodeCommand } from './nodeCommand.ts'
import { beforeCommand } from './runArguments.ts'

const HELP = `walcast check-config [options] [-- COMMAND ARGS...]

Checks the options of a node as walcast node, or walcast run with a COMMAND, would read them: flags,
environment, and the file of --config. Names every mistake at once, and an unknown key or variable
with the one that was probably meant. Starts and writes nothing.

Exit code: 0 when they are sound, else 1 or 2.

  options    those of walcast node and walcast run: see walcast node --help --all
`

export async function runCheckConfig(args: readonly string[]): Promise<number> {
  if (beforeCommand(args).includes('--help')) {
    process.stdout.write(HELP)
    return 0
  }
  const { env } = process
  const { options } = nodeCommand(args, env)
  requireSoundOptions(options, 'node')
  logSettings(args, env)
  readSecret(env)
  const unknown = unknownVariablesText(env)
  if (unknown !== undefined) throw new WalcastError('USAGE', { detail: unknown })
  process.stdout.write('the options are sound\n')
  return 0
}
