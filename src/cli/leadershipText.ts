/** Leadership as text for people. */
import {
  type LostCommits,
  type NodePlace,
  SWITCHOVER_STAGES,
  type SwitchoverAnswer,
} from '../api/roleAnswers.ts'
import { formatMs } from './queryCommand.ts'

export function placeText({ node, address }: NodePlace): string {
  return address ? `${node} at ${address}` : node
}

/** Headings of `stageTimes`. */
export const STAGE_HEADINGS: readonly string[] = SWITCHOVER_STAGES.map((stage) =>
  stage === 'takeOver' ? 'take over' : stage,
)

/** How long each stage took. */
export function stageTimes({ stages }: SwitchoverAnswer): string[] {
  // A node of an earlier version reports fewer stages.
  const taken: Readonly<Record<string, number | undefined>> = stages
  return SWITCHOVER_STAGES.map((stage) => formatMs(taken[`${stage}Ms`] ?? 0))
}

export function countText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** What a promotion leaves behind. */
export function lostText({ transactions, detail }: LostCommits): string {
  const count =
    transactions === null
      ? 'an unknown number of transactions'
      : `${countText(transactions, 'transaction')} that the leader announced, missing here`
  return detail ? `${count}: ${detail}` : count
}
