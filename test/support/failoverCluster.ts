/** A bank whose nodes fail over by themselves, with a lease in a real etcd. */
import type { ElectionReport } from '../../src/api/electionReport.ts'
import { type BankCluster, startBank } from './bankCluster.ts'
import type { BankSite } from './bankSite.ts'
import { type Etcd, encoded, startEtcd } from './etcd.ts'
import type { Lab } from './lab.ts'
import { TcpProxy } from './tcpProxy.ts'
import { until } from './until.ts'

/** As short as this etcd allows with room for a busy machine. */
export const TTL_MS = 2000

export interface FailoverOptions {
  readonly nodes?: number
  /** Of etcd; 1 unless given. */
  readonly members?: number
  readonly flags?: readonly string[]
  readonly ownFlags?: (at: number) => readonly string[]
}

const STRANGE = encoded('of a stranger')

export class FailoverCluster {
  readonly bank: BankCluster
  readonly etcd: Etcd
  /** Between each site and each member of etcd, in the order of the sites. */
  readonly #links: readonly (readonly TcpProxy[])[]

  constructor(bank: BankCluster, etcd: Etcd, links: readonly (readonly TcpProxy[])[]) {
    this.bank = bank
    this.etcd = etcd
    this.#links = links
  }

  get sites(): readonly BankSite[] {
    return this.bank.sites
  }

  /** That node reaches etcd no more, until `joinEtcd`. */
  cutFromEtcd(site: BankSite): void {
    for (const link of this.etcdLinks(site)) {
      link.tamper = () => undefined
      link.cutAll()
    }
  }

  joinEtcd(site: BankSite): void {
    for (const link of this.etcdLinks(site)) link.tamper = (bytes) => bytes
  }

  /** Somebody who is not of the cluster writes over what its nodes wrote beside the lease. */
  async overwrite(): Promise<void> {
    for (const { key } of await this.#values())
      await this.etcd.ask('/v3/kv/put', { key, value: STRANGE })
  }

  /** Whether that is still there. */
  async isOverwritten(): Promise<boolean> {
    return (await this.#values()).some(({ value }) => value === STRANGE)
  }

  async #values(): Promise<readonly { readonly key: string; readonly value: string }[]> {
    const range = { key: encoded('walcast/'), range_end: encoded('walcast0') }
    const { kvs = [] } = await this.etcd.ask('/v3/kv/range', range)
    const all = kvs as { key: string; value: string }[]
    return all.filter(({ key }) => Buffer.from(key, 'base64').toString().endsWith('/value'))
  }

  /** Another node than these leads. */
  async ledByOther(...than: readonly BankSite[]): Promise<BankSite> {
    return until('another node leads', async () => {
      const leaders = await this.bank.withRole('leader')
      return leaders.find((site) => !than.includes(site))
    })
  }

  /** By which that node reaches the members of etcd. */
  etcdLinks(site: BankSite): readonly TcpProxy[] {
    return this.#links[this.sites.indexOf(site)]
  }
}

export async function startFailover(
  lab: Lab,
  { nodes = 3, members = 1, flags = [], ownFlags = () => [] }: FailoverOptions = {},
): Promise<FailoverCluster> {
  const etcd = await startEtcd({ after: (end) => lab.atEnd(end) }, { members })
  const links: TcpProxy[][] = []
  for (let at = 0; at < nodes; at++) {
    const own = await Promise.all(
      etcd.endpoints.map((endpoint) => TcpProxy.start(Number(new URL(endpoint).port))),
    )
    for (const link of own) lab.atEnd(() => link.close())
    links.push(own)
  }
  const addresses = (at: number) => links[at].map((link) => `http://${link.address}`).join(',')
  const bank = await startBank(lab, {
    nodes,
    flags: ['--ttl', `${TTL_MS}ms`, '--election', 'etcd', ...flags],
    ownFlags: (at) => ['--etcd', addresses(at), ...ownFlags(at)],
  })
  const cluster = new FailoverCluster(bank, etcd, links)
  await until('each replica is counted', async () => {
    const { election } = (await bank.sites[0].node.status()) as { election?: ElectionReport }
    return election && election.counted.length >= nodes - 1
  })
  return cluster
}
