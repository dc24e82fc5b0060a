/** One round of torture of automatic failover. Its random numbers decide everything in it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { BankSite } from '../support/bankSite.ts'
import { writesOfPastEpochs } from '../support/epochOrder.ts'
import { type FailoverCluster, startFailover, TTL_MS } from '../support/failoverCluster.ts'
import type { Exchange } from '../support/history.ts'
import { faultsIn } from '../support/historyCheck.ts'
import type { Lab } from '../support/lab.ts'
import { PROGRAMS } from '../support/paths.ts'
import type { TestNode } from '../support/testNode.ts'
import { randomOf, until } from '../support/until.ts'
import {
  ELECTION_FAULTS,
  type ElectionFault,
  type ElectionWorld,
  type Mend,
} from './electionFaults.ts'
import { pick, type Random } from './random.ts'

export const FAULTS_A_ROUND = 12
/** Faults between two times at which all is mended and one node must lead. */
const FAULTS_A_STRETCH = 4
const AT_ONCE = 2
/** How long faults last and how far apart they are, in TTLs. */
const LASTS = [0.2, 0.6, 1.2, 2, 2.5, 5]
const APART = [0, 0.1, 0.5, 1.5]
/** From when all is mended to one that leads, and others that follow: a busy machine is slow. */
const SETTLED_TIMEOUT_MS = 60_000
/** How long a client waits: a frozen node answers nothing. */
const ANSWER_TIMEOUT_MS = 6000
const ASK_TIMEOUT_MS = 500

interface Planned {
  readonly name: string
  readonly fault: ElectionFault
  readonly lastsMs: number
  readonly apartMs: number
  /** Which of the replicas, and what else the fault chooses. */
  readonly seed: number
}

/** Throws when a promise was broken. Returns what happened. */
export async function runElectionsRound(lab: Lab, random: Random): Promise<string> {
  const shape = {
    nodes: pick(random, [2, 3]),
    members: pick(random, [1, 3]),
    hasFastClock: random() < 0.3,
  }
  const plan = Array.from({ length: FAULTS_A_ROUND }, () => planned(random))
  const clock = shape.hasFastClock ? ', a fast clock' : ''
  const faults = plan.map(({ name, lastsMs, apartMs }) => `${name} ${lastsMs}+${apartMs}`)
  const text = `${shape.nodes} nodes, ${shape.members} of etcd${clock}; ${faults.join(', ')}`
  const cluster = await startFailover(lab, { ...shape, flags: ['--ack', 'one'] })
  if (shape.hasFastClock) await hasten(cluster)
  const round = new ElectionsRound(lab, cluster)
  try {
    return `${await round.run(plan)}; ${text}`
  } catch (error) {
    round.keepLogs()
    throw new Error(`${text}\nstruck: ${round.told.join(', ')}\n${inspect(error)}`)
  }
}

function planned(random: Random): Planned {
  const [name, fault] = pick(random, ELECTION_FAULTS)
  return {
    name,
    fault,
    lastsMs: pick(random, LASTS) * TTL_MS,
    apartMs: pick(random, APART) * TTL_MS,
    seed: Math.floor(random() * 1e9),
  }
}

async function hasten({ sites }: FailoverCluster): Promise<void> {
  const site = sites[sites.length - 1]
  await site.node.stop()
  const { environment } = site.node.options
  const NODE_OPTIONS = `--import ${join(PROGRAMS, 'fastClock.js')}`
  await site.restart({ environment: { ...environment, NODE_OPTIONS } }, 'node')
  await site.node.ready()
}

class ElectionsRound {
  readonly #lab: Lab
  readonly #cluster: FailoverCluster
  /** What was struck, and whom it found leading. */
  readonly told: string[] = []
  readonly #held = new Set<string>()
  readonly #pending = new Set<Promise<unknown>>()
  readonly #nodes = new Set<TestNode>()
  /** Transfers past the proxy that the application has done. */
  readonly #direct: Exchange[] = []
  #leader: BankSite

  constructor(lab: Lab, cluster: FailoverCluster) {
    this.#lab = lab
    this.#cluster = cluster
    this.#leader = cluster.sites[0]
  }

  async run(plan: readonly Planned[]): Promise<string> {
    const { bank } = this.#cluster
    const client = bank.client({ timeoutMs: ANSWER_TIMEOUT_MS })
    await client.writesEverywhere(SETTLED_TIMEOUT_MS)
    for (const [at, step] of plan.entries()) {
      await this.#strike(step)
      await delay(step.apartMs)
      if ((at + 1) % FAULTS_A_STRETCH !== 0) continue
      await this.#mendAll()
      this.#leader = await bank.settled([], SETTLED_TIMEOUT_MS)
      await client.writesEverywhere(SETTLED_TIMEOUT_MS)
    }
    await this.#mendAll()
    const leader = await bank.settled([], SETTLED_TIMEOUT_MS)
    return this.#judge(leader, await client.stop())
  }

  /** The log of every process that was a node, beside the databases. */
  keepLogs(): void {
    this.#remember()
    for (const { child } of this.#nodes)
      writeFileSync(join(this.#lab.folder, `${child.pid}.log`), child.err.join('\n'))
  }

  async #strike({ name, fault, lastsMs, seed }: Planned): Promise<void> {
    while (this.#pending.size >= AT_ONCE) await Promise.race(this.#pending)
    let world = await this.#world(seed)
    if (fault.holds(world).some((each) => this.#held.has(each))) {
      await this.#mendAll()
      world = await this.#world(seed)
    }
    const held = fault.holds(world)
    this.#remember()
    this.told.push(`${name} (${world.leader.name} led, ${Math.round(performance.now())} ms)`)
    const mend = await fault.strike(world).catch((error) => {
      throw new Error(`${name} did not strike`, { cause: error })
    })
    if (!mend) return
    for (const each of held) this.#held.add(each)
    const pending = this.#mendLater(mend, lastsMs, held).finally(() =>
      this.#pending.delete(pending),
    )
    pending.catch(() => {})
    this.#pending.add(pending)
  }

  async #mendLater(mend: Mend, lastsMs: number, held: readonly string[]): Promise<void> {
    await delay(lastsMs)
    await mend()
    for (const each of held) this.#held.delete(each)
  }

  async #mendAll(): Promise<void> {
    await Promise.all(this.#pending)
  }

  /** Who leads may be frozen, or may not be known. */
  async #world(seed: number): Promise<ElectionWorld> {
    const { sites } = this.#cluster
    const roles = await Promise.all(
      sites.map(({ node }) =>
        node.get('/leader', {}, ASK_TIMEOUT_MS).then(
          ({ text }) => JSON.parse(text).role,
          () => undefined,
        ),
      ),
    )
    const leaders = sites.filter((_site, at) => roles[at] === 'leader')
    if (!leaders.includes(this.#leader) && leaders.length > 0) this.#leader = leaders[0]
    const random = randomOf(seed)
    const others = sites.filter((site) => site !== this.#leader)
    return {
      cluster: this.#cluster,
      random,
      leader: this.#leader,
      replica: pick(random, others),
      writeDirectly: (site) => this.#writeDirectly(site),
    }
  }

  async #writeDirectly(site: BankSite): Promise<void> {
    const id = `direct${this.#direct.length}`
    const startMs = performance.now()
    const transfer = { id, from: 1, to: 2, amount: 1 }
    const status = await site.transferDirectly(id)
    const times = { startMs, endMs: performance.now() }
    // Nobody promised anything: it is there in the end, or it is kept aside.
    const told = { session: -1, site: site.name, kind: 'transfer', key: id, transfer } as const
    this.#direct.push({ ...told, ...times, status: status < 300 ? 0 : status })
  }

  #remember(): void {
    for (const { node } of this.#cluster.sites) this.#nodes.add(node)
  }

  async #judge(leader: BankSite, record: readonly Exchange[]): Promise<string> {
    const { bank } = this.#cluster
    this.#remember()
    assert.deepEqual(writesOfPastEpochs(record), [], 'two nodes let in writes at once')
    const report = await bank.judge([...record, ...this.#direct], leader, 'unreplicated')
    assert.deepEqual(faultsIn(report), [])
    assert.ok(report.lasting > 0, 'no write was acknowledged')
    await bank.requireSame(leader)
    await this.#requireDirect(leader)
    const internal = [...this.#nodes].flatMap(({ child }) =>
      child.err.filter((line) => line.includes('INTERNAL')),
    )
    assert.deepEqual(internal, [])
    const { epoch, txid } = await leader.node.status()
    const failed = record.length - report.done
    return (
      `${report.done} answers, ${failed} failed, ${report.lasting} acknowledged, ` +
      `at ${epoch}-${txid}`
    )
  }

  /** What applications wrote past the proxy is there, or kept aside. */
  async #requireDirect(leader: BankSite): Promise<void> {
    const { bank, sites } = this.#cluster
    const there = new Set((await bank.stateOf(leader)).transfers.map(({ id }) => id))
    const done = this.#direct.filter(({ status }) => status === 0)
    await until(
      'what was written past the proxy is there or kept aside',
      async (saw) => {
        const kept = (await Promise.all(sites.map((site) => site.keptTransfers()))).flat()
        const missing = done.filter(({ key }) => !there.has(key) && !kept.includes(key))
        saw(missing.map(({ key }) => key).join(', '))
        return missing.length === 0
      },
      SETTLED_TIMEOUT_MS,
    )
  }
}
