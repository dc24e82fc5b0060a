/** `walcast promote`: has a replica take over. */
import { PROMOTE_PATH, type PromoteAnswer } from '../api/roleAnswers.ts'
import { PROMOTED } from './answerShapes.ts'
import { NODE_FLAGS, nodeOf, operator, parseFlags } from './commandArguments.ts'
import { postChange } from './leadershipClient.ts'
import { lostText, placeText } from './leadershipText.ts'
import { formatMs, lines, shown } from './queryCommand.ts'

const HELP = `walcast promote [--node URL] [--force] [--dry-run] [--json]

Has a replica lead, in a new epoch. It refuses while a leader lives (see walcast switchover, which hands over without
losing a write), and when it knows of commits that it has not.

  --node URL   the private side of the node that is to lead [WALCAST_NODE, else 127.0.0.1:8470]
  --force      promote all the same; what speaks against it and what is lost is printed first, on standard error
  --dry-run    only say what speaks against it and what would be lost
  --json       the answer of /_walcast/promote as it is
`

const FLAGS = { ...NODE_FLAGS, force: { type: 'boolean' }, 'dry-run': { type: 'boolean' } } as const

export async function runPromote(args: readonly string[]): Promise<number> {
  const {
    help,
    json,
    node: flag,
    force = false,
    'dry-run': dryRun = false,
  } = parseFlags(args, FLAGS)
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  const node = nodeOf(flag)
  if (force && !dryRun) process.stderr.write(doubts(await ask(node, { force, dryRun: true })))
  const answer = await ask(node, { force, dryRun })
  process.stdout.write(
    json ? `${JSON.stringify(answer)}\n` : dryRun ? prospects(answer) : promotedText(answer),
  )
  return 0
}

function ask(
  node: string,
  { force, dryRun }: { readonly force: boolean; readonly dryRun: boolean },
): Promise<PromoteAnswer> {
  const by = operator()
  const asked = { by, ...(force ? { force } : {}), ...(dryRun ? { dryRun } : {}) }
  return postChange(node, PROMOTE_PATH, asked, PROMOTED)
}

/** A line for each reason, and one for what is lost. */
function doubts({ reasons, lost }: PromoteAnswer): string {
  const texts = reasons.map((reason) => `against it: ${reason}`)
  if (lost) texts.push(`lost: ${lostText(lost)}`)
  return texts.map((text) => `${shown(text)}\n`).join('')
}

export function prospects(answer: PromoteAnswer): string {
  const { from } = answer
  const fit = `${shown(placeText(answer))}, at ${from.epoch}-${from.txid}, can lead: nothing speaks against it\n`
  return doubts(answer) || fit
}

export function promotedText(answer: PromoteAnswer): string {
  const { epoch, txid, from, lost, oldLeader, unheard, tookMs } = answer
  const pairs: [string, string][] = [
    ['leader', placeText(answer)],
    ['position', `epoch ${epoch} from txid ${txid} on (it stood at ${from.epoch}-${from.txid})`],
  ]
  if (oldLeader)
    pairs.push([
      'old leader',
      `${placeText(oldLeader)}, ${oldLeader.outcome}${oldLeader.detail ? `: ${oldLeader.detail}` : ''}`,
    ])
  for (const silent of unheard) pairs.push(['not heard', placeText(silent)])
  if (lost) pairs.push(['lost', lostText(lost)])
  pairs.push(['took', formatMs(tookMs)])
  return lines(pairs)
}
