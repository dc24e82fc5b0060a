/** `walcast demote`: makes a leader a replica. */
import { DEMOTE_PATH, type DemoteAnswer } from '../api/roleAnswers.ts'
import { parseValue } from '../options/optionValues.ts'
import { DEMOTED } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { postChange } from './leadershipClient.ts'
import { namedNode } from './namedNode.ts'
import { formatMs, jsonLine, lines } from './queryCommand.ts'

const HELP = `walcast demote [NODE] [--db FILE] [--leader HOST:PORT] [--json]

Makes a leader stop writing and become a replica. Commits that the new leader lacks are kept aside,
not thrown away. There is no leader until another node is promoted: to do both without losing a
write, use walcast switchover.

${nodeHelp(18)}
  --leader HOST:PORT   the node to follow from now on
  --json               print the answer of /_walcast/demote unchanged
`

export const FLAGS = { ...NODE_FLAGS, leader: { type: 'string' } } as const

export async function runDemote(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, leader } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const follow = leader === undefined ? {} : { leader: parseValue('leader', 'address', leader) }
  const asked = { by: operator(), ...follow }
  const node = await namedNode(named, process.env)
  const answer = await postChange<DemoteAnswer>(node, DEMOTE_PATH, asked, DEMOTED)
  process.stdout.write(json ? jsonLine(answer) : demotedText(answer))
  return 0
}

export function demotedText({ node, role, epoch, txid, leader, tookMs }: DemoteAnswer): string {
  return lines([
    [role, node],
    ['position', `${epoch}-${txid}`],
    ['leader', leader || 'none known: this node serves reads until it hears of one'],
    ['took', formatMs(tookMs)],
  ])
}
