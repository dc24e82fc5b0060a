/** Makes this node the leader: by promotion when no leader lives, else by a switchover. */
import type { ClusterAnswer } from '../../../api/clusterOverview.ts'
import {
  FITNESS_PATH,
  type FitnessAnswer,
  type LostCommits,
  type MemberState,
  type NodePlace,
  PROMOTE_PATH,
  type PromoteAnswer,
} from '../../../api/roleAnswers.ts'
import { type Action, BY, line, type Plan, type PlanLine } from '../actions.ts'
import { switchoverTo } from '../clusterActions.ts'
import { shellWord } from '../commandText.ts'
import { durationText, plural, sentence } from '../format.ts'
import { leaseText } from '../leaseNote.ts'
import { ask } from '../requests.ts'

/** `cluster`: as it was seen last; it tells who holds the lease of automatic failover. */
export function makePrimary(node: string, cluster?: ClusterAnswer): Action {
  return {
    title: 'Make me primary',
    does: `Node ${node} becomes the leader, in a new epoch, and takes the writes.`,
    needs: 'operate',
    async plan() {
      const fitness = await ask<FitnessAnswer>('GET', FITNESS_PATH)
      const living = livingLeader(fitness)
      if (living) return switchoverInstead(fitness, living)
      const asked = { dryRun: true, force: true, by: BY }
      const answer = await ask<PromoteAnswer>('POST', PROMOTE_PATH, asked)
      const plan = promotionPlan(answer, fitness.leader)
      return { ...plan, lines: [...leaseLines(cluster), ...plan.lines] }
    },
  }
}

function leaseLines(cluster: ClusterAnswer | undefined): PlanLine[] {
  const text = leaseText(cluster)
  return text === '' ? [] : [line('quiet', text)]
}

export function livingLeader({ members }: FitnessAnswer): MemberState | undefined {
  return members.find(({ reached, role }) => reached && role === 'leader')
}

/** What a promotion leaves behind, as a sentence names it. */
export function lostText(lost: LostCommits | null): string {
  if (!lost || lost.transactions === 0) return 'no transaction that this node has heard of'
  if (lost.transactions === null) return 'an unknown number of transactions'
  return plural(lost.transactions, 'transaction')
}

function promotionPlan(answer: PromoteAnswer, leader: string): Plan {
  const { node, reasons, lost, unheard } = answer
  const isForced = reasons.length > 0
  const flags = isForced ? ' --force' : ''
  const lines: PlanLine[] = [
    ...reasons.map((reason) => line('warn', `Against it: ${reason}`)),
    ...unheard.map((silent) => line('warn', `Does not answer: ${placeText(silent)}`)),
    lossLine(lost),
    line(
      'quiet',
      `Not known here: what ${leader || 'the leader'} committed after its last word to this node.`,
    ),
  ]
  return {
    lines: isForced ? lines : [line('good', 'Nothing known speaks against it.'), ...lines],
    command: `walcast promote ${shellWord(node)}${flags}`,
    accepts: acceptText(lost, leader),
    button: isForced ? 'Make me primary by force' : 'Make me primary',
    isDangerous: true,
    run: async () =>
      promotedLines(await ask<PromoteAnswer>('POST', PROMOTE_PATH, { force: isForced, by: BY })),
  }
}

function lossLine(lost: LostCommits | null): PlanLine {
  const isNone = !lost || lost.transactions === 0
  const detail = lost?.detail ? `: ${lost.detail}` : ''
  return line(isNone ? 'good' : 'bad', `Lost: ${lostText(lost)}${detail}`)
}

function acceptText(lost: LostCommits | null, leader: string): string {
  const who = leader || 'the old leader'
  if (!lost || lost.transactions === 0)
    return `I accept that writes which only ${who} has are lost.`
  return `I accept the loss of ${lostText(lost)}, and of writes which only ${who} has.`
}

function promotedLines({ node, epoch, txid, lost, oldLeader, tookMs }: PromoteAnswer): PlanLine[] {
  const took = durationText(tookMs)
  const done = `${node} leads in epoch ${epoch}, from transaction ${txid} on (took ${took})`
  const old =
    oldLeader && `Old leader ${placeText(oldLeader)}: ${oldLeader.detail ?? oldLeader.outcome}`
  return [
    line('good', done),
    ...(lost && lost.transactions !== 0 ? [line('warn', `Lost: ${lostText(lost)}`)] : []),
    ...(old ? [line(oldLeader.outcome === 'demoted' ? 'good' : 'warn', old)] : []),
  ]
}

/** While a leader lives a promotion would make two of them. */
function switchoverInstead(fitness: FitnessAnswer, living: MemberState): Plan {
  const { node } = fitness
  return {
    lines: [
      line('bad', `${placeText(living)} answers, and leads in epoch ${living.epoch ?? '?'}.`),
      line(
        'quiet',
        'A promotion beside it would lose writes. A switchover hands over and loses none.',
      ),
    ],
    command: undefined,
    button: undefined,
    instead: switchoverTo(node, fitness.reasons.map(sentence), durationText(fitness.lagMs)),
    run: async () => [],
  }
}

function placeText({ node, address }: NodePlace): string {
  return address ? `${node} at ${address}` : node
}
