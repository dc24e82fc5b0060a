/** `walcast switchover`: hands leadership over without losing a write. */
import type { SwitchoverAnswer } from '../api/roleAnswers.ts'
import { durationOf, NODE_FLAGS, nodeOf, operator, parseFlags } from './commandArguments.ts'
import { postSwitchover } from './leadershipClient.ts'
import { countText, placeText, STAGE_HEADINGS, stageTimes } from './leadershipText.ts'
import { formatMs, lines } from './queryCommand.ts'

const HELP = `walcast switchover [--node URL] [--to NODE] [--timeout TIME] [--json]

Hands leadership over: the leader holds new writes, the other node gets what it lacks, takes over and executes what was
held. No write is lost, and none fails. When it cannot be done in time the leader carries on.

  --node URL       any node's private side [WALCAST_NODE, else 127.0.0.1:8470]
  --to NODE        id or address of the node that is to lead [the only replica that is connected]
  --timeout TIME   how long writes may be held before it is given up [--switchover-timeout of the leader]
  --json           the answer of /_walcast/switchover as it is
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
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : switchedText(answer))
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
