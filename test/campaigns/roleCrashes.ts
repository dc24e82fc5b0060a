/**
 * A node dies at a step of a role change: at most one node leads, no answered write is lost, and
 * both end level.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { FileOp } from '../../src/platform/fileOps.ts'
import { type BankCluster, startBank } from '../support/bankCluster.ts'
import { leaderOrPromoted } from '../support/bankOperator.ts'
import type { BankSite, Dying } from '../support/bankSite.ts'
import { faultsIn } from '../support/historyCheck.ts'
import type { Lab } from '../support/lab.ts'

export interface RoleStep {
  readonly op: FileOp
  readonly count: number
}

/** Steps of writing the role file, and of a second write in the same change, where there is one. */
export const ROLE_STEPS: readonly RoleStep[] = [
  { op: 'role.write', count: 1 },
  { op: 'role.rename', count: 1 },
  { op: 'role.write', count: 2 },
  { op: 'role.rename', count: 2 },
]

/** Both nodes, each in a process that can be told to die. */
async function startMortal(lab: Lab) {
  const cluster = await startBank(lab, { nodes: 2 })
  const dying = new Map<BankSite, Dying>()
  for (const site of cluster.sites) {
    dying.set(site, await site.restartDying())
    await cluster.settled()
  }
  return { cluster, dying }
}

/**
 * Kills it at `step` of the change that `act` asks for, and restarts it. If the change has no
 * second step of that kind, it dies after the change.
 */
async function dieIn(
  dying: Map<BankSite, Dying>,
  victim: BankSite,
  step: RoleStep,
  act: () => Promise<unknown>,
): Promise<boolean> {
  await dying.get(victim)?.arm(step.op, step.count)
  await act().catch(() => {})
  const hasDied = await dying.get(victim)?.end()
  dying.set(victim, await victim.restartDying())
  return hasDied === true
}

/** Either node of a switchover dies at each of these steps, under clients. */
export async function switchoverCrashes(
  lab: Lab,
  t: TestContext,
  steps: readonly RoleStep[],
): Promise<void> {
  const { cluster, dying } = await startMortal(lab)
  const client = cluster.client({ sessions: 4, isKeyed: true })
  for (const which of ['from', 'to'] as const) {
    for (const step of steps) {
      const { leader: from, other: to } = await pairOf(cluster)
      const victim = which === 'from' ? from : to
      const hasDied = await dieIn(dying, victim, step, () => from.switchover(to, 3000))
      if (step.count === 1) assert.ok(hasDied, `${step.op} is a step of the node ${which}`)
      t.diagnostic(
        `${which}: ${step.op} ${step.count}: ${hasDied ? 'died in it' : 'died after it'}`,
      )
      await leaderOrPromoted(cluster.sites)
      await cluster.settled()
      await client.writesEverywhere()
    }
  }
  const record = await client.stop()
  const leader = await cluster.settled()
  assert.deepEqual(faultsIn(await cluster.judge(record, leader)), [])
  await cluster.requireSame(leader)
}

/** The node that is promoted dies at each of these steps. */
export async function promotionCrashes(
  lab: Lab,
  t: TestContext,
  steps: readonly RoleStep[],
): Promise<void> {
  const { cluster, dying } = await startMortal(lab)
  for (const step of steps) {
    const { leader: old, other: heir } = await pairOf(cluster)
    await cluster.requireSame(old)
    await old.node.stop('SIGKILL')
    const hasDied = await dieIn(dying, heir, step, () => heir.promote())
    t.diagnostic(`${step.op} ${step.count}: ${hasDied ? 'died in it' : 'died after it'}`)
    dying.set(old, await old.restartDying())
    await leaderOrPromoted(cluster.sites)
    await cluster.requireSame(await cluster.settled())
  }
}

async function pairOf(cluster: BankCluster): Promise<{ leader: BankSite; other: BankSite }> {
  const leader = await cluster.settled()
  const other = cluster.sites.find((site) => site !== leader)
  assert.ok(other)
  return { leader, other }
}
