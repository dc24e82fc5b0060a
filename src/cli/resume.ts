/** `walcast resume`: ends a pause of role changes. */
import { PAUSE_PATH, type PauseAnswer } from '../api/rolePause.ts'
import { PAUSED } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { namedNode } from './namedNode.ts'
import { askJson } from './nodeClient.ts'
import { jsonLine } from './queryCommand.ts'
import { toldText } from './toldText.ts'

const HELP = `walcast resume [NODE] [--json]

Ends a pause of role changes (walcast pause) in the whole cluster. Any node can be asked, also while
there is no leader; a member that is away hears of it when it is back.

${nodeHelp(6)}
  --json   print the answer as JSON

Over an address the command needs a token of role operate (WALCAST_TOKEN or WALCAST_TOKEN_FILE) or
the cluster secret. On the machine of a node it needs neither.
`

export const FLAGS = NODE_FLAGS
/** Each member that is away costs its time limit. */
const TIMEOUT_MS = 60_000

export async function runResume(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const environment = process.env
  const done = await askJson<PauseAnswer>(
    {
      method: 'DELETE',
      node: await namedNode(named, environment),
      path: `${PAUSE_PATH}?${new URLSearchParams({ by: operator() })}`,
      environment,
      timeoutMs: TIMEOUT_MS,
    },
    PAUSED,
  )
  const resumed = `role changes are possible again\n${toldText(done.members)}`
  process.stdout.write(values.json ? jsonLine(done) : resumed)
  return 0
}
