/**
 * What strikes nodes that fail over by themselves. Each fault names what it takes hold of, so that
 * two at a time do not fight for one process or link, and gives what mends it.
 */
import type { BankSite } from '../support/bankSite.ts'
import { encoded } from '../support/etcd.ts'
import type { FailoverCluster } from '../support/failoverCluster.ts'
import { Refused } from '../support/leadership.ts'
import type { TcpProxy } from '../support/tcpProxy.ts'
import { pick, type Random, spread, type Weighted } from './random.ts'

export interface ElectionWorld {
  readonly cluster: FailoverCluster
  /** Of this fault alone. */
  readonly random: Random
  /** Leads, or did last. */
  readonly leader: BankSite
  readonly replica: BankSite
  /** A transfer by the application of that site, past the proxy. */
  writeDirectly(site: BankSite): Promise<void>
}

export type Mend = () => Promise<unknown> | unknown

export interface ElectionFault {
  /** What no other fault may strike meanwhile. */
  readonly holds: (world: ElectionWorld) => readonly string[]
  readonly strike: (world: ElectionWorld) => Promise<Mend | undefined>
}

/** How much slower etcd answers, ms: both below and above the time that a call may take. */
const SLOW_MS = [100, 300, 1500]
/** What an operator waits for, ms. */
const OPERATOR_MS = 5000

type Who = (world: ElectionWorld) => BankSite
const leader: Who = (world) => world.leader
const replica: Who = (world) => world.replica

const FAULTS: Weighted<ElectionFault> = [
  ['leader killed', 4, onNode(leader, killed)],
  ['replica killed', 2, onNode(replica, killed)],
  ['leader frozen', 4, onNode(leader, frozen)],
  ['replica frozen', 2, onNode(replica, frozen)],
  ['leader cut off from all', 3, onNode(leader, cutFromAll)],
  ['leader cut off from etcd', 3, onNode(leader, cutFromEtcd)],
  ['replica cut off from etcd', 2, onNode(replica, cutFromEtcd)],
  ['leader cut off from replicas', 2, onNode(leader, cutFromNodes)],
  ['leader answers no node', 2, onNode(leader, ({ link }) => oneWay([link], true))],
  ['leader hears no node', 2, onNode(leader, ({ link }) => oneWay([link], false))],
  ['leader hears nothing of etcd', 2, onNode(leader, (site, world) => deafTo(site, world, true))],
  ['etcd hears nothing of leader', 2, onNode(leader, (site, world) => deafTo(site, world, false))],
  ['etcd slow for leader', 2, onNode(leader, slowEtcd)],
  ['etcd slow for replica', 1, onNode(replica, slowEtcd)],
  ['a member of etcd frozen', 2, onEtcd(memberFrozen)],
  ['a member of etcd killed', 1, onEtcd((world) => membersKilled(world, 1))],
  ['etcd without a leader', 3, onEtcd((world) => membersKilled(world, 2))],
  ['etcd gone', 2, onEtcd((world) => membersKilled(world, Number.POSITIVE_INFINITY))],
  ['etcd restarted empty', 2, onEtcd(wiped)],
  ['etcd compacted', 2, onEtcd(compacted)],
  ['lease revoked', 2, onEtcd(revoked)],
  ['value overwritten', 2, onEtcd(overwritten)],
  ['switchover', 3, byOperator(({ leader, replica }) => leader.switchover(replica, OPERATOR_MS))],
  ['promote', 2, byOperator(({ replica }) => replica.promote())],
  ['demote', 1, byOperator(({ leader }) => leader.demote())],
  ['written past the proxy', 3, { holds: () => [], strike: writtenDirectly }],
  ['all nodes killed', 1, { holds: allNodes, strike: allKilled }],
]

export const ELECTION_FAULTS = spread(FAULTS)

function onNode(
  who: Who,
  strike: (site: BankSite, world: ElectionWorld) => Promise<Mend> | Mend,
): ElectionFault {
  return {
    holds: (world) => [who(world).name],
    strike: async (world) => strike(who(world), world),
  }
}

function onEtcd(strike: (world: ElectionWorld) => ReturnType<ElectionFault['strike']>) {
  return { holds: () => ['etcd'], strike }
}

/** What it asks for may be refused, and may find a node that is away. */
function byOperator(act: (world: ElectionWorld) => Promise<unknown>): ElectionFault {
  const strike = async (world: ElectionWorld) => {
    await act(world).catch((error) => {
      if (!(error instanceof Refused)) throw error
    })
    return undefined
  }
  return { holds: ({ leader: of, replica: to }) => [of.name, to.name], strike }
}

function allNodes({ cluster }: ElectionWorld): string[] {
  return cluster.sites.map(({ name }) => name)
}

async function killed(site: BankSite): Promise<Mend> {
  await site.node.stop('SIGKILL')
  return () => site.restart({}, 'node')
}

async function allKilled({ cluster }: ElectionWorld): Promise<Mend> {
  await Promise.all(cluster.sites.map(({ node }) => node.stop('SIGKILL')))
  return () => Promise.all(cluster.sites.map((site) => site.restart({}, 'node')))
}

function frozen(site: BankSite): Mend {
  site.node.kill('SIGSTOP')
  return () => site.node.kill('SIGCONT')
}

function cutFromAll(site: BankSite, world: ElectionWorld): Mend {
  const mends = [cutFromNodes(site, world), cutFromEtcd(site, world)]
  return () => mends.map((mend) => mend())
}

/** With two nodes both ways; of three, the others still reach each other and are still reached. */
function cutFromNodes(site: BankSite, { cluster }: ElectionWorld): Mend {
  const cut = cluster.sites.length === 2 ? cluster.sites : [site]
  for (const each of cut) each.cut()
  return () => cut.map((each) => each.mend())
}

function cutFromEtcd(site: BankSite, { cluster }: ElectionWorld): Mend {
  cluster.cutFromEtcd(site)
  return () => cluster.joinEtcd(site)
}

/** What goes one way is lost, and the connections stay. */
function oneWay(links: readonly TcpProxy[], isAnswer: boolean): Mend {
  const nothing = Buffer.alloc(0)
  for (const link of links)
    link.tamper = (bytes, isFromServer) => (isFromServer === isAnswer ? nothing : bytes)
  return () => {
    for (const link of links) {
      link.tamper = (bytes) => bytes
      link.cutAll()
    }
  }
}

function deafTo(site: BankSite, { cluster }: ElectionWorld, isAnswer: boolean): Mend {
  return oneWay(cluster.etcdLinks(site), isAnswer)
}

function slowEtcd(site: BankSite, { cluster, random }: ElectionWorld): Mend {
  const links = cluster.etcdLinks(site)
  const delayMs = pick(random, SLOW_MS)
  for (const link of links) link.delayMs = delayMs
  return () => {
    for (const link of links) link.delayMs = 0
  }
}

async function memberFrozen({ cluster, random }: ElectionWorld): Promise<Mend> {
  const member = pick(random, cluster.etcd.members)
  member.freeze()
  return () => member.thaw()
}

async function membersKilled({ cluster }: ElectionWorld, count: number): Promise<Mend> {
  const members = cluster.etcd.members.slice(0, count)
  await Promise.all(members.map((member) => member.stop()))
  return () => cluster.etcd.start(members)
}

async function wiped({ cluster }: ElectionWorld): Promise<Mend> {
  const { members } = cluster.etcd
  await Promise.all(members.map((member) => member.stop()))
  for (const member of members) member.wipe()
  return () => cluster.etcd.start()
}

async function compacted({ cluster }: ElectionWorld): Promise<undefined> {
  const { header } = await cluster.etcd.ask('/v3/kv/range', { key: encoded('none') })
  await cluster.etcd.ask('/v3/kv/compaction', { revision: Object(header).revision, physical: true })
}

interface Written {
  readonly key: string
  readonly value: string
  readonly lease?: string
}

/** The keys of the election that end so. */
async function keysOf({ cluster }: ElectionWorld, end: string): Promise<readonly Written[]> {
  const range = { key: encoded('walcast/'), range_end: encoded('walcast0') }
  const { kvs = [] } = await cluster.etcd.ask('/v3/kv/range', range)
  const all = kvs as readonly Written[]
  return all.filter(({ key }) => Buffer.from(key, 'base64').toString().endsWith(end))
}

async function revoked(world: ElectionWorld): Promise<undefined> {
  for (const { lease } of await keysOf(world, '/lead'))
    if (lease) await world.cluster.etcd.ask('/v3/lease/revoke', { ID: lease })
}

async function overwritten({ cluster }: ElectionWorld): Promise<undefined> {
  await cluster.overwrite()
}

/** By the application of a node that leads: what is lost with a change of leader is kept aside. */
async function writtenDirectly({ leader: of, writeDirectly }: ElectionWorld): Promise<undefined> {
  await writeDirectly(of)
}
