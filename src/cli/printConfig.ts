/** `--print-config` of the commands that run a node: the options that it would have. */
import type { NodeOptions } from '../options/nodeOptions.ts'
import { type GivenShown, type ShownOption, shownOptions } from '../options/shownOptions.ts'
import { configText } from './configText.ts'
import { shownLogOptions } from './logOptions.ts'
import { givenOptions } from './nodeArguments.ts'
import { type RunArguments, shownRunOptions, withUpstream } from './runArguments.ts'
import { shownSecrets } from './shownSecrets.ts'
import { lookOf } from './terminalLook.ts'

export const PRINT_CONFIG = '--print-config'

/** Options of a command beside those of its node. Throws USAGE or CONFIG_BAD. */
export function programOptions(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): ShownOption[] {
  return [...shownLogOptions(args, environment), ...shownSecrets(environment)]
}

/**
 * The options of the node of `walcast run`, and what is known of them. `--upstream` follows from
 * `--ports`. Throws USAGE or CONFIG_BAD.
 */
export function shownRun(
  { nodeArguments, ports }: RunArguments,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): { readonly options: NodeOptions; readonly shown: GivenShown } {
  const { options, origins } = givenOptions('node', nodeArguments, environment)
  const others = [...shownRunOptions(args, environment), ...programOptions(args, environment)]
  if (ports.length === 0) return { options, shown: { origins, others } }
  withUpstream(options, ports)
  const upstream = { from: 'derived', detail: '--ports' } as const
  return { options, shown: { origins: new Map(origins).set('upstream', upstream), others } }
}

/** Prints all options and starts nothing. */
export function printConfig(options: NodeOptions, { origins, others }: GivenShown): number {
  const { stdout, env } = process
  const all = [...shownOptions(options, origins), ...others]
  // What a program reads is not cut.
  stdout.write(configText(all, lookOf(stdout, env, stdout.isTTY !== true)))
  return 0
}
