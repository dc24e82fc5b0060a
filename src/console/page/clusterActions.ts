/** What can be done to a node of the cluster from its list. */
import type { ClusterNode } from '../../api/clusterOverview.ts'
import { MEMBERS_PATH, type RemovedAnswer } from '../../api/membership.ts'
import { joinCommand, PAIR_PATH, type PairAnswer } from '../../api/pairing.ts'
import {
  DEMOTE_PATH,
  type DemoteAnswer,
  REPLICAS_PATH,
  SWITCHOVER_PATH,
  type SwitchoverAnswer,
} from '../../api/roleAnswers.ts'
import { told } from './accessActions.ts'
import { type Action, BY, line, type PlanLine, takenLine } from './actions.ts'
import { shellWord } from './commandText.ts'
import { durationText, plural } from './format.ts'
import { ask } from './requests.ts'

/** Makes `node` the leader while the leader lives. `behind`: how far its copy is, in words. */
export function switchoverTo(node: string, reasons: readonly string[], behind: string): Action {
  return {
    title: 'Switch over to this node',
    does: `The leader stops writes for a moment, ${node} takes all of them over, and leads.`,
    needs: 'operate',
    plan: async () => ({
      lines: [
        ...reasons.map((reason) => line('warn', reason)),
        line('good', `No write is lost. Writes wait for a moment; this copy is ${behind} behind.`),
      ],
      command: `walcast switchover --to ${shellWord(node)}`,
      button: 'Switch over',
      run: async () =>
        switchedLines(await ask<SwitchoverAnswer>('POST', SWITCHOVER_PATH, { to: node, by: BY })),
    }),
  }
}

/** The node that is asked gives up leading, and nobody leads then. */
export function demote(node: string): Action {
  return {
    title: 'Demote this node',
    does: `${node} stops leading. Nobody takes writes until another node is promoted.`,
    needs: 'operate',
    plan: async () => ({
      lines: [
        line('bad', 'Writes fail or wait until another node leads.'),
        line('quiet', 'A switchover hands over without that gap.'),
      ],
      command: `walcast demote ${shellWord(node)}`,
      accepts: 'I accept that the cluster takes no writes until another node is promoted.',
      button: 'Demote',
      isDangerous: true,
      run: async () => {
        const { role, epoch, txid } = await ask<DemoteAnswer>('POST', DEMOTE_PATH, { by: BY })
        return [line('good', `${node} is a ${role} now, at ${epoch}-${txid}.`)]
      },
    }),
  }
}

/** Takes a replica that is gone for good off the list of replicas that are missed. */
export function forget({ node }: ClusterNode): Action {
  return {
    title: 'Forget this replica',
    does: `The leader no longer misses ${node}. It is missed again once it has connected.`,
    needs: 'operate',
    plan: async () => ({
      lines: [line('quiet', 'Its copy and its keys stay as they are.')],
      command: `walcast forget ${shellWord(node)}`,
      button: 'Forget',
      run: async () => {
        const query = new URLSearchParams({ node, by: BY })
        await ask('DELETE', `${REPLICAS_PATH}?${query}`)
        return [line('good', `${node} is forgotten.`)]
      },
    }),
  }
}

/** Takes a node out of the cluster for good. */
export function remove({ node, isReachable }: ClusterNode): Action {
  return {
    title: 'Remove this node from the cluster',
    does: `All members refuse the key of ${node} for ever, and end its connections at once.`,
    needs: 'admin',
    plan: async () => ({
      lines: [
        ...(isReachable
          ? [line('warn', 'It answers. A node that is there leaves by itself: walcast leave.')]
          : []),
        line('quiet', 'To come back it must be paired again, with a new key.'),
        line('quiet', 'If somebody has its disk, replace the secret and the key as well.'),
      ],
      command: `walcast remove ${shellWord(node)}`,
      accepts: `I accept that ${node} finds no way back by itself.`,
      button: 'Remove',
      isDangerous: true,
      run: async () => removedLines(node),
    }),
  }
}

async function removedLines(node: string): Promise<readonly PlanLine[]> {
  const query = new URLSearchParams({ node, by: BY })
  const { members } = await ask<RemovedAnswer>('DELETE', `${MEMBERS_PATH}?${query}`)
  return [line('good', `${node} is removed.`), ...told(members)]
}

/** Makes a code with which another host joins. */
export function pair(): Action {
  return {
    title: 'Pair a new node',
    does: 'Makes a code that lets one other host into the cluster, once.',
    needs: 'admin',
    plan: async () => ({
      lines: [line('quiet', 'Whoever has the code before it is used or ends can join.')],
      command: 'walcast pair',
      button: 'Make a code',
      run: async () => {
        const asked = { by: BY, qr: true }
        const { code, expiresMs, qr } = await ask<PairAnswer>('POST', PAIR_PATH, asked)
        return [
          line('good', `Good once, for ${durationText(expiresMs)}. On the new host type, or scan:`),
          takenLine(joinCommand(code), qr),
          line('quiet', 'It is shown this once. FILE and HOST:PORT are those of the new host.'),
        ]
      },
    }),
  }
}

export function switchedLines({
  from,
  to,
  epoch,
  pauseMs,
  heldWrites,
}: SwitchoverAnswer): PlanLine[] {
  return [
    line('good', `${to.node} leads in epoch ${epoch}; ${from.node} follows.`),
    line('quiet', `Writes waited ${durationText(pauseMs)}; ${plural(heldWrites, 'write')} held.`),
  ]
}
