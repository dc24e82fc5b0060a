/** What others, and whoever asked for it, are told of a promotion. */
import type { PromoteAnswer } from '../../api/roleAnswers.ts'
import { keyOf, messageOf } from '../../errors.ts'
import { settle } from './changeEnd.ts'
import type { RoleFacts } from './roleFacts.ts'
import type { RoleOrder } from './roleOrders.ts'
import type { Change, Promoting, PromotionPlan, Step } from './rolePhases.ts'

/** The old leader was told, or could not be; the others need not look for the leader themselves. */
export function tellOthers(
  facts: RoleFacts,
  { memory, change, plan }: Promoting,
  failure: unknown,
): Step {
  const { asked, leader, epoch } = plan
  if (!asked) return settle(facts, memory, [])
  const { about, answers, beganMs } = asked
  const now = facts.record.promoted ?? { epoch, txid: about.from.txid }
  const answer: PromoteAnswer = {
    ...about,
    role: 'leader',
    epoch: now.epoch,
    txid: now.txid,
    oldLeader: oldLeaderOf(plan, asked, failure),
    tookMs: facts.nowMs - beganMs,
  }
  const text = 'a node could not be told who leads; it finds out itself'
  const told = answers.filter((each) => each.asked !== leader)
  return settle(facts, memory, [
    ...told.map(
      ({ asked: address }): RoleOrder => ({
        do: 'tellInBackground',
        address,
        about: { address },
        text,
      }),
    ),
    ...answerOf(change, answer),
  ])
}

function oldLeaderOf(
  { leader: address }: PromotionPlan,
  { answers, about }: NonNullable<PromotionPlan['asked']>,
  failure: unknown,
): PromoteAnswer['oldLeader'] {
  if (address === undefined) return null
  const node =
    answers.find((each) => each.asked === address)?.node ??
    about.unheard.find((each) => each.address === address)?.node ??
    ''
  if (failure === undefined) return { node, address, outcome: 'demoted' }
  const outcome = keyOf(failure) === 'NODE_UNREACHABLE' ? 'unreachable' : 'refused'
  return { node, address, outcome, detail: messageOf(failure) }
}

export function answerOf({ request }: Change, answer: PromoteAnswer): RoleOrder[] {
  return request === undefined ? [] : [{ do: 'answer', request, answer: { of: 'promote', answer } }]
}
