/** `walcast promote`: makes a replica the leader. */
import { PROMOTE_PATH, type PromoteAnswer } from '../api/roleAnswers.ts'
import { PROMOTED } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { postChange } from './leadershipClient.ts'
import { lostText, placeText } from './leadershipText.ts'
import { namedNode } from './namedNode.ts'
import type { NodeTarget } from './nodeTarget.ts'
import { formatMs, jsonLine, lines, shown } from './queryCommand.ts'

const HELP = `walcast promote [NODE] [--db FILE] [--force] [--dry-run] [--json]

Makes a replica the leader, in a new epoch. The node refuses while a leader lives, and while it
knows of commits that it lacks. While the leader lives, use walcast switchover, which loses no
write.

${nodeHelp(10)}
  --force      promote anyway; first print the reasons against it, and what is lost, on standard
               error
  --dry-run    only print the reasons against it, and what would be lost
  --json       print the answer of /_walcast/promote unchanged
`

export const FLAGS = {
  ...NODE_FLAGS,
  force: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
} as const

export async function runPromote(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, force = false, 'dry-run': dryRun = false } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const node = await namedNode(named, process.env)
  if (force && !dryRun) process.stderr.write(doubts(await ask(node, { force, dryRun: true })))
  const answer = await ask(node, { force, dryRun })
  process.stdout.write(json ? jsonLine(answer) : dryRun ? prospects(answer) : promotedText(answer))
  return 0
}

function ask(
  node: NodeTarget,
  { force, dryRun }: { readonly force: boolean; readonly dryRun: boolean },
): Promise<PromoteAnswer> {
  const by = operator()
  const asked = { by, ...(force ? { force } : {}), ...(dryRun ? { dryRun } : {}) }
  return postChange(node, PROMOTE_PATH, asked, PROMOTED)
}

/** A line for each reason against it, and one for what is lost. */
function doubts({ reasons, lost }: PromoteAnswer): string {
  const texts = reasons.map((reason) => `against it: ${reason}`)
  if (lost) texts.push(`lost: ${lostText(lost)}`)
  return texts.map((text) => `${shown(text)}\n`).join('')
}

export function prospects(answer: PromoteAnswer): string {
  const { epoch, txid } = answer.from
  const fit = `${shown(placeText(answer))} can lead: nothing against it, at ${epoch}-${txid}\n`
  return doubts(answer) || fit
}

export function promotedText(answer: PromoteAnswer): string {
  const { epoch, txid, from, lost, oldLeader, unheard, tookMs } = answer
  const pairs: [string, string][] = [
    ['leader', placeText(answer)],
    ['position', `epoch ${epoch} from txid ${txid} on (it stood at ${from.epoch}-${from.txid})`],
  ]
  if (oldLeader) {
    const detail = oldLeader.detail ? `: ${oldLeader.detail}` : ''
    pairs.push(['old leader', `${placeText(oldLeader)}, ${oldLeader.outcome}${detail}`])
  }
  for (const silent of unheard) pairs.push(['not heard', placeText(silent)])
  if (lost) pairs.push(['lost', lostText(lost)])
  pairs.push(['took', formatMs(tookMs)])
  return lines(pairs)
}
