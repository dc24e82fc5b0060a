/** `walcast switchover`: hands leadership over without losing a write. */
import type { SwitchoverAnswer } from '../api/roleAnswers.ts'
import { durationOf, NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { postSwitchover } from './leadershipClient.ts'
import { countText, placeText, STAGE_HEADINGS, stageTimes } from './leadershipText.ts'
import { namedNode } from './namedNode.ts'
import { formatMs, jsonLine, lines } from './queryCommand.ts'

const HELP = `walcast switchover [NODE] [--db FILE] [--to NODE] [--timeout TIME] [--json]

Hands leadership over: the leader holds new writes, the other node receives what it lacks, takes
over and executes the held writes. No write is lost, and none fails. If it does not finish in time,
the leader carries on.

${nodeHelp(14)}
  --to NODE        id or address of the next leader [the only connected replica]
  --timeout TIME   give up when writes would be held for longer [the leader's --switchover-timeout]
  --json           print the answer of /_walcast/switchover unchanged
`

export const FLAGS = { ...NODE_FLAGS, to: { type: 'string' }, timeout: { type: 'string' } } as const

export async function runSwitchover(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, to, timeout } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const timeoutMs = durationOf('timeout', timeout)
  const answer = await postSwitchover(await namedNode(named, process.env), {
    by: operator(),
    ...(to === undefined ? {} : { to }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  process.stdout.write(json ? jsonLine(answer) : switchedText(answer))
  return 0
}

export function switchedText(answer: SwitchoverAnswer): string {
  const { from, to, epoch, txid, pauseMs, heldWrites, tookMs } = answer
  const times = stageTimes(answer)
  return lines([
    ['leader', placeText(to)],
    ['before', placeText(from)],
    ['position', `epoch ${epoch} from txid ${txid} on`],
    ['pause', `${formatMs(pauseMs)}, ${countText(heldWrites, 'write')} held`],
    ['stages', STAGE_HEADINGS.map((name, i) => `${name} ${times[i]}`).join(', ')],
    ['took', formatMs(tookMs)],
  ])
}
