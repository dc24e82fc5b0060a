/** A rehearsal of a failover: leadership really goes to a node and back, and both ways are told. */
import { CLUSTER_PATH, type ClusterAnswer } from '../../api/clusterOverview.ts'
import {
  FITNESS_PATH,
  type FitnessAnswer,
  SWITCHOVER_PATH,
  type SwitchoverAnswer,
} from '../../api/roleAnswers.ts'
import { type Action, BY, line, type PlanLine } from './actions.ts'
import { nowMs, setTimer } from './browser.ts'
import { switchedLines } from './clusterActions.ts'
import { shellWord } from './commandText.ts'
import { crashLoss, crashLossText } from './crashLoss.ts'
import { ask, asRefusal } from './requests.ts'

/** How long the first leader may take to follow, before leadership is handed back to it. */
const FOLLOW_MS = 30_000
const ASK_AGAIN_MS = 500

/** `behind`: how far the copy of `node` is, in words. */
export function rehearse(
  node: string,
  leader: string,
  reasons: readonly string[],
  behind: string,
): Action {
  return {
    title: 'Rehearse a failover to this node',
    does: `Leadership really goes to ${node}, and back to ${leader}.`,
    needs: 'operate',
    plan: async () => ({
      lines: [
        ...reasons.map((reason) => line('warn', reason)),
        line('good', 'No write is lost.'),
        line('quiet', `Writes wait for a moment, twice; this copy is ${behind} behind.`),
        line('warn', `Keep this page open: if it goes away in between, ${node} leads.`),
        line('quiet', `A crash of ${leader} now would lose ${await lossText(leader, node)}.`),
      ],
      command: `walcast rehearse --to ${shellWord(node)}`,
      button: 'Rehearse',
      run: () => rehearsedLines(node, leader),
    }),
  }
}

/** Throws Refusal when the way there fails, with nothing changed. */
async function rehearsedLines(node: string, leader: string): Promise<readonly PlanLine[]> {
  const there = await goOver(leader, node)
  try {
    await untilFollows(leader)
    return [
      line('good', 'Leadership went there and back.'),
      ...there,
      ...(await goOver(node, leader)),
    ]
  } catch (error) {
    return [
      line('bad', `The way back failed: ${asRefusal(error).message}.`),
      ...there,
      line('quiet', `To hand back: walcast switchover --to ${shellWord(leader)}`),
    ]
  }
}

/** A node that follows passes it on to the leader. What a crash would have lost is asked before. */
async function goOver(from: string, to: string): Promise<readonly PlanLine[]> {
  const loss = await lossText(from, to)
  const order = { to, by: `${BY} (rehearsal)` }
  return [
    ...switchedLines(await ask<SwitchoverAnswer>('POST', SWITCHOVER_PATH, order)),
    line('quiet', `A crash of ${from} just before would have lost ${loss}.`),
  ]
}

/** What a crash of `leader` now would lose if `node` led then. */
async function lossText(leader: string, node: string): Promise<string> {
  const places = await ask<FitnessAnswer>('GET', FITNESS_PATH).catch(() => undefined)
  return crashLossText(places ? crashLoss(places, leader, node) : null)
}

/** But not for ever: the switchover then says why the node is not fit. */
async function untilFollows(node: string): Promise<void> {
  const endMs = nowMs() + FOLLOW_MS
  while (nowMs() < endMs) {
    const there = await ask<ClusterAnswer>('GET', CLUSTER_PATH).catch(() => undefined)
    const found = there?.nodes.find((each) => each.node === node)
    if (found?.isReachable && found.role !== 'leader' && found.state === 'streaming') return
    await new Promise<void>((resolve) => setTimer(resolve, ASK_AGAIN_MS))
  }
}
