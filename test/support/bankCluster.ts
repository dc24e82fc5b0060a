/**
 * Nodes whose roles change, each before a bank application of its own (programs/bankApp.ts), and
 * what their databases hold.
 */

import type { NodeRole } from '../../src/api/roleAnswers.ts'
import { freePort } from '../../src/cli/freePorts.ts'
import { BankSite } from './bankSite.ts'
import type { BankState, Exchange, Losses } from './history.ts'
import { checkHistory, type HistoryReport } from './historyCheck.ts'
import { type Lab, requireSame } from './lab.ts'
import { type ClientOptions, type Door, RecordingClient } from './recordingClient.ts'
import { TcpProxy } from './tcpProxy.ts'
import { PATIENCE_MS, type Saw, until } from './until.ts'

export const ACCOUNTS = 10
export const BALANCE = 1000

export interface BankOptions {
  /** The first one leads. */
  readonly nodes?: number
  /**
   * Flags of every node. Those of one role go into the environment, where the other role ignores
   * them.
   */
  readonly flags?: readonly string[]
  /** The same of one node, by its place in the cluster from 0 on. */
  readonly ownFlags?: (at: number) => readonly string[]
  /** Such as `WALCAST_HOLD`. */
  readonly environment?: Readonly<Record<string, string>>
  /** How long the applications wait for SQLite's lock. */
  readonly busyMs?: number
}

const ENVIRONMENT = {
  WALCAST_SECRET: 'correct horse battery staple',
  WALCAST_HEARTBEAT: '100ms',
  WALCAST_RECONNECT_MAX: '100ms',
  // On a machine busy with other tests a change of roles may take longer than the default allows.
  WALCAST_HOLD: '30s',
}

export class BankCluster {
  readonly sites: readonly BankSite[]
  readonly #lab: Lab

  constructor(lab: Lab, sites: readonly BankSite[]) {
    this.#lab = lab
    this.sites = sites
  }

  get doors(): readonly Door[] {
    return this.sites
  }

  /** Clients that use all proxies in turn, unless other doors are named. */
  client(options: Partial<ClientOptions> = {}): RecordingClient {
    const client = new RecordingClient({ doors: this.doors, accounts: ACCOUNTS, ...options })
    // A failed test must not leave them running.
    this.#lab.atEnd(async () => void (await client.stop().catch(() => {})))
    return client
  }

  /** The running nodes that report this role. */
  async withRole(role: NodeRole): Promise<readonly BankSite[]> {
    const roles = await Promise.all(this.sites.map((site) => site.role().catch(() => undefined)))
    return this.sites.filter((_site, i) => roles[i] === role)
  }

  /**
   * Waits until exactly one node leads and all others that are not `away` stream from it, level in
   * epoch.
   */
  async settled(away: readonly BankSite[] = [], patienceMs = PATIENCE_MS): Promise<BankSite> {
    const ask = async (saw: Saw) => {
      const leaders = await this.withRole('leader')
      if (leaders.length !== 1) return undefined
      const { epoch } = await leaders[0].node.status()
      const others = this.sites.filter((site) => site !== leaders[0] && !away.includes(site))
      const all = await Promise.all(others.map(({ node }) => node.status()))
      saw(all.map((each) => `${each.state} ${each.epoch}-${each.txid}`).join(', '))
      return all.every((each) => each.state === 'streaming' && each.epoch === epoch)
        ? leaders[0]
        : undefined
    }
    return until('one leads, the others follow', ask, patienceMs)
  }

  /** Proves that every node that is not away holds what the leader holds. */
  async requireSame(leader: BankSite, away: readonly BankSite[] = []): Promise<void> {
    for (const site of this.sites)
      if (site !== leader && !away.includes(site))
        await requireSame(this.#lab, leader.node, site.node)
  }

  stateOf({ db }: BankSite): Promise<BankState> {
    return stateOf(this.#lab, db)
  }

  /** Judges the record against this node's file. */
  async judge(
    record: readonly Exchange[],
    site: BankSite,
    losses: Losses = 'none',
  ): Promise<HistoryReport> {
    return checkHistory(record, await this.stateOf(site), {
      accounts: ACCOUNTS,
      balance: BALANCE,
      losses,
    })
  }
}

/** What a bank's file holds, as Python's SQLite reads it. */
export async function stateOf(lab: Lab, db: string): Promise<BankState> {
  const session = lab.sql(db, { readOnly: true })
  const balances = await session.rows('SELECT id, balance FROM accounts')
  const transfers = await session.rows('SELECT id, "from", "to", amount FROM transfers')
  const registers = await session.rows('SELECT key, version, value FROM register')
  await session.close()
  return {
    balances: new Map(balances.map(([id, balance]) => [Number(id), Number(balance)])),
    transfers: transfers.map(([id, from, to, amount]) => ({
      id: String(id),
      from: Number(from),
      to: Number(to),
      amount: Number(amount),
    })),
    registers: new Map(
      registers.map(([key, version, value]) => [
        String(key),
        { version: Number(version), value: String(value) },
      ]),
    ),
  }
}

export async function startBank(lab: Lab, options: BankOptions = {}): Promise<BankCluster> {
  const { nodes = 3, flags = [], ownFlags = () => [], busyMs = 1000 } = options
  const environment = { ...ENVIRONMENT, ...options.environment }
  await makeBank(lab, lab.path('node1.db'))
  const sites: BankSite[] = []
  for (let i = 1; i <= nodes; i++) {
    const places = await placesOf(lab, `node${i}`, busyMs)
    const all = [...flags, ...ownFlags(i - 1)]
    sites.push(await BankSite.start(lab, places, sites[0]?.address, { flags: all, environment }))
  }
  for (const { node } of sites) await node.ready()
  return new BankCluster(lab, sites)
}

/** Adds a replica, which may not be ready yet. */
export async function addReplica(lab: Lab, name: string, leader: BankSite): Promise<BankSite> {
  const places = await placesOf(lab, name, 1000)
  return BankSite.start(lab, places, leader.address, { environment: ENVIRONMENT })
}

export async function makeBank(lab: Lab, db: string): Promise<void> {
  await lab.exec(
    db,
    'PRAGMA journal_mode=wal',
    'BEGIN',
    'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)',
    'CREATE TABLE transfers (id TEXT PRIMARY KEY, "from" INTEGER, "to" INTEGER, amount INTEGER)',
    'CREATE TABLE register (key TEXT PRIMARY KEY, value TEXT, version INTEGER)',
    ...Array.from(
      { length: ACCOUNTS },
      (_, i) => `INSERT INTO accounts VALUES (${i + 1}, ${BALANCE})`,
    ),
    'COMMIT',
  )
}

/**
 * The application starts before its node, which other nodes reach through a link that can be cut.
 */
async function placesOf(lab: Lab, name: string, busyMs: number) {
  const db = lab.path(`${name}.db`)
  const [port, proxyPort, appPort] = [await freePort(), await freePort(), await freePort()]
  const startApp = async () => {
    const app = lab.program('bankApp', { path: db, name, port: appPort, busyMs })
    await app.line((line) => line.includes('listening'))
    return app
  }
  const app = await startApp()
  const link = await TcpProxy.start(port)
  lab.atEnd(() => link.close())
  return { name, db, port, proxyPort, appPort, app, startApp, link }
}
