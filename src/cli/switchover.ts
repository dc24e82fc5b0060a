/** `walcast switchover`: hands leadership over without losing a write. */
import type { SwitchoverAnswer } from '../api/roleAnswers.ts'
import { durationOf, NODE_FLAGS, nodeOf, operator, parseFlags } from './commandArguments.ts'
import { postSwitchover } from './leadershipClient.ts'
import { countText, placeText, STAGE_HEADINGS, stageTimes } from './leadershipText.ts'
import { formatMs, jsonLine, lines } from './queryCommand.ts'

const HELP = `walcast switchover [--node URL] [--to NODE] [--timeout TIME] [--json]

Hands leadership over: the leader holds new writes, the other node receives what it lacks, takes
over and executes the held writes. No write is lost, and none fails. If it does not finish in time,
the leader carries on.

  --node URL       any node's private side [WALCAST_NODE, else 127.0.0.1:8470]
  --to NODE        id or address of the next leader [the only connected replica]
  --timeout TIME   give up when writes would be held for longer [the leader's --switchover-timeout]
  --json           print the answer of /_walcast/switchover unchanged
`

const FLAGS = { ...NODE_FLAGS, to: { type: 'string' }, timeout: { type: 'string' } } as const

export async function runSwitchover(args: readonly string[]): Promise<number> {
  const { help, json, node, to, timeout } = parseFlags(args, FLAGS)
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  const timeoutMs = durationOf('timeout', timeout)
  const answer = await postSwitchover(nodeOf(node), {
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
