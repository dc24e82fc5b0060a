/** One round of torture of leadership. Its random numbers decide everything in it. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { startBank } from '../support/bankCluster.ts'
import { leaderOrPromoted, promoteFurthest } from '../support/bankOperator.ts'
import type { BankSite } from '../support/bankSite.ts'
import { faultsIn } from '../support/historyCheck.ts'
import type { Lab } from '../support/lab.ts'
import { Refused } from '../support/leadership.ts'
import {
  BankCopies,
  cloneLeader,
  putBackOldLeader,
  putBackReplica,
  type BankWorld as World,
} from './bankPutBack.ts'
import { PositionLedger } from './positionLedger.ts'
import { pick, type Random, spread, type Weighted } from './random.ts'

type Event = (world: World) => Promise<unknown>

const EVENTS_A_ROUND = 8
const SETTLED_TIMEOUT_MS = 60_000

const EVENTS: Weighted<Event> = [
  ['switchover', 5, switchover],
  ['switchover to a frozen node', 1, switchoverToFrozen],
  ['switchover over a link that is cut', 2, switchoverCut],
  ['leader killed in a switchover', 2, killedInSwitchover],
  ['leader killed', 3, killed],
  ['leader frozen', 3, frozen],
  ['leader cut off', 2, cutOff],
  ['replica killed', 1, async ({ replicas, random }) => restart(pick(random, replicas), 'SIGKILL')],
  ['leader restarted', 1, async ({ leader }) => restart(leader, 'SIGTERM')],
  ['replica put back', 3, putBackReplica],
  ['old leader put back', 3, putBackOldLeader],
  ['leader cloned', 1, cloneLeader],
]
const WEIGHTED = spread(EVENTS)

/** Throws when a promise was broken. Returns what happened. */
export async function runLeadershipRound(lab: Lab, random: Random): Promise<string> {
  const cluster = await startBank(lab)
  const client = cluster.client({
    writeHeaders: { 'walcast-ack': 'one' },
    seed: Math.floor(random() * 1e6),
    isKeyed: random() < 0.5,
  })
  const told = new Map<string, number>()
  const copies = new BankCopies(lab, random)
  for (const site of cluster.sites) await copies.take(site)
  const ledger = new PositionLedger()
  for (let i = 0; i < EVENTS_A_ROUND; i++) {
    const leader = await cluster.settled([], SETTLED_TIMEOUT_MS)
    const replicas = cluster.sites.filter((site) => site !== leader)
    await client.writesEverywhere(SETTLED_TIMEOUT_MS)
    for (const { node } of cluster.sites) await ledger.ask(node)
    ledger.settle()
    await copies.take(pick(random, cluster.sites))
    await delay(random() * 300)
    const [name, event] = pick(random, WEIGHTED)
    told.set(name, (told.get(name) ?? 0) + 1)
    await event({ lab, cluster, random, leader, replicas, copies })
  }
  const leader = await cluster.settled([], SETTLED_TIMEOUT_MS)
  const record = await client.stop()
  const report = await cluster.judge(record, leader, 'unreplicated')
  assert.deepEqual(faultsIn(report), [])
  assert.ok(report.lasting > 0, 'no write was acknowledged')
  await cluster.requireSame(leader)
  for (const { node } of cluster.sites) await ledger.ask(node)
  ledger.settle()
  const { epoch, txid } = await leader.node.status()
  const events = [...told].map(([name, count]) => `${count} ${name}`).join(', ')
  const failed = record.length - report.done
  return (
    `${report.done} answers, ${failed} failed, ${report.unknown} ` +
    `unknown, at ${epoch}-${txid}; ${events}`
  )
}

/** The codes of changes that could not succeed; any other fails the round. */
async function maybe(change: Promise<unknown>): Promise<void> {
  await change.catch((error) => {
    if (!(error instanceof Refused)) throw error
  })
}

async function switchover({ random, replicas, cluster }: World): Promise<void> {
  await maybe(pick(random, cluster.sites).switchover(pick(random, [undefined, ...replicas])))
}

async function switchoverToFrozen({ random, leader, replicas }: World): Promise<void> {
  const target = pick(random, replicas)
  target.node.kill('SIGSTOP')
  await maybe(leader.switchover(target, 500 + random() * 1500))
  target.node.kill('SIGCONT')
}

async function switchoverCut({ random, leader, replicas }: World): Promise<void> {
  const target = pick(random, replicas)
  const change = maybe(leader.switchover(target, 2000))
  await delay(random() * 30)
  const cut = pick(random, [leader, target])
  cut.cut()
  await change
  await delay(random() * 500)
  cut.mend()
  await leaderOrPromoted([leader, ...replicas])
}

async function killedInSwitchover({ random, leader, replicas }: World): Promise<void> {
  // The node may die before it answers.
  const change = leader.switchover(pick(random, replicas)).catch(() => {})
  await delay(random() * 30)
  await leader.node.stop('SIGKILL')
  await change
  await leaderOrPromoted(replicas)
  await leader.restart()
}

async function killed({ random, leader, replicas }: World): Promise<void> {
  await leader.node.stop('SIGKILL')
  await promoteFurthest(replicas)
  await delay(random() * 500)
  await leader.restart()
}

async function frozen({ random, leader, replicas }: World): Promise<void> {
  leader.node.kill('SIGSTOP')
  await promoteFurthest(replicas)
  await delay(random() * 1000)
  leader.node.kill('SIGCONT')
}

async function cutOff({ random, leader, replicas }: World): Promise<void> {
  leader.cut()
  // The old leader may still report that it leads.
  await promoteFurthest(replicas, { force: true })
  await delay(random() * 1000)
  leader.mend()
}

async function restart(site: BankSite, signal: NodeJS.Signals): Promise<void> {
  await site.node.stop(signal)
  await site.restart()
}
