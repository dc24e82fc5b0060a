/** `walcast config`: the options of a running node in force, and where each came from. */
import { OPTIONS_PATH, type OptionsAnswer } from '../api/optionsInForce.ts'
import { NODE_FLAGS, nodeHelp, parseForNode } from './commandArguments.ts'
import { OPTIONS } from './configShape.ts'
import { configText } from './configText.ts'
import { keysText } from './keysText.ts'
import { namedNode } from './namedNode.ts'
import { getJson } from './nodeClient.ts'
import { jsonLine } from './queryCommand.ts'
import { lookOf } from './terminalLook.ts'

const HELP = `walcast config [NODE] [--db FILE] [--all] [--json]

Shows the options of a running node that differ from their default, and where each came from: a
flag, the environment, a line of the file, or the node itself, which keeps or derives some. Then the
secret, the keys and the certificate by name, with their age. No secret is shown.

${nodeHelp(9)}
  --all       show all options
  --wide      cut nothing
  --json      print the answer of /_walcast/options unchanged

What a node would have, before it runs: walcast node --print-config. Mistakes: walcast check-config.
`

export const FLAGS = { ...NODE_FLAGS, all: { type: 'boolean' }, wide: { type: 'boolean' } } as const

export async function runConfig(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { stdout, env } = process
  if (values.help) {
    stdout.write(HELP)
    return 0
  }
  const node = await namedNode(named, env)
  const answer = await getJson<OptionsAnswer>(node, OPTIONS_PATH, env, OPTIONS)
  stdout.write(values.json ? jsonLine(answer) : text(answer, values.all === true, values.wide))
  return 0
}

function text({ options, keys }: OptionsAnswer, isAll: boolean, isWide = false): string {
  const { stdout, env } = process
  const look = lookOf(stdout, env, isWide || stdout.isTTY !== true)
  const shown = options.filter(({ isChanged }) => isAll || isChanged)
  return `${configText(shown, look)}\n${keysText(keys, look)}`
}
