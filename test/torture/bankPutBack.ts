/**
 * Restored states and cloned folders in a bank's cluster, only in ways that may lose nothing: on a
 * node that does not lead, or on an old leader before it returns. The node that leads meanwhile has
 * everything that was acknowledged.
 */
import { ACCOUNTS, BALANCE, type BankCluster } from '../support/bankCluster.ts'
import { promoteFurthest } from '../support/bankOperator.ts'
import type { BankSite } from '../support/bankSite.ts'
import type { Lab } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { cloneBeside } from './clones.ts'
import { place } from './placing.ts'
import { pick, type Random } from './random.ts'
import { Snapshots } from './snapshots.ts'

const TOTAL = ACCOUNTS * BALANCE

/** Copies of each node's files, made during the round. */
export class BankCopies {
  readonly #lab: Lab
  readonly #random: Random
  readonly #of = new Map<BankSite, Snapshots>()

  constructor(lab: Lab, random: Random) {
    this.#lab = lab
    this.#random = random
  }

  /** Copies the files of a running node. */
  async take(site: BankSite): Promise<void> {
    await this.#snapshots(site).takeRunning(site.db, async () => {
      const { txid } = await site.node.status()
      return { history: 0, txid }
    })
  }

  /** Replaces the files of a stopped node, whose application is stopped too. */
  async putBack(site: BankSite): Promise<void> {
    const snapshots = this.#snapshots(site)
    const snapshot = await snapshots.pick(site.db)
    if (snapshot)
      await place(this.#lab, this.#random, site.db, snapshot, () => snapshots.pick(site.db))
  }

  #snapshots(site: BankSite): Snapshots {
    const known = this.#of.get(site) ?? new Snapshots(this.#lab, this.#random, site.name, TOTAL)
    this.#of.set(site, known)
    return known
  }
}

export interface BankWorld {
  readonly lab: Lab
  readonly cluster: BankCluster
  readonly random: Random
  /** The leader when an event begins. */
  readonly leader: BankSite
  readonly replicas: readonly BankSite[]
  readonly copies: BankCopies
}

const signalOf = (random: Random): NodeJS.Signals => (random() < 0.5 ? 'SIGTERM' : 'SIGKILL')

export async function putBackReplica({
  leader,
  replicas,
  copies,
  random,
}: BankWorld): Promise<void> {
  const site = pick(random, replicas)
  await site.changeFiles(() => copies.putBack(site), signalOf(random))
  // Its acknowledged writes must be present again before the next event.
  await isAsFar(site.node, leader.node)
}

/** It died, another node was promoted, and only then its state was restored and it returned. */
export async function putBackOldLeader({
  leader,
  replicas,
  copies,
  random,
}: BankWorld): Promise<void> {
  const signal = signalOf(random)
  const promoted: BankSite[] = []
  await leader.changeFiles(async () => {
    promoted.push(await promoteFurthest(replicas))
    await copies.putBack(leader)
  }, signal)
  for (const { node } of promoted) await isAsFar(leader.node, node)
}

export async function cloneLeader({ lab, random, leader, replicas }: BankWorld): Promise<void> {
  const parts = { lab, random, leader: leader.node, address: leader.address, total: TOTAL }
  await cloneBeside(parts, (clone) => isAsFar(clone, leader.node))
  // Writes acknowledged only by the clone must be at the others before the next event.
  for (const { node } of replicas) await isAsFar(node, leader.node)
}

/** Waits until the node has all that the leader has now. */
async function isAsFar(node: TestNode, leader: TestNode): Promise<void> {
  const there = await leader.status()
  const isThere = async () => {
    const { epoch, txid, state } = await node.status()
    return state === 'streaming' && epoch >= there.epoch && txid >= there.txid
  }
  await until(`${node.child.name} is at ${there.epoch}-${there.txid}`, isThere)
}
