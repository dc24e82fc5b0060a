/** Nodes with applications behind them that a test starts and stops: programs/bootingApp.ts. */
import { freePort } from '../../src/cli/freePorts.ts'
import type { Child } from './child.ts'
import type { Lab } from './lab.ts'
import type { TestNode } from './testNode.ts'
import { until } from './until.ts'

const TABLE = ['PRAGMA journal_mode = wal', 'CREATE TABLE t (v)']

export interface SiteOptions {
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly bootMs?: number
  /** Host of the public side. */
  readonly host?: string
}

/** The JSON in the application's answer. */
export interface Told {
  readonly name: string
  readonly role: string
  readonly pid: number
  readonly port: number
  readonly n: number
}

export class ApplicationSite {
  readonly name: string
  readonly node: TestNode
  /** URL of the public side. */
  readonly url: string
  readonly proxyPort: number
  readonly appPort: number
  readonly #lab: Lab
  readonly #bootMs: number
  #app: Child | undefined

  private constructor(
    lab: Lab,
    node: TestNode,
    at: { name: string; proxyPort: number; appPort: number },
    bootMs: number,
  ) {
    this.#lab = lab
    this.node = node
    this.name = at.name
    this.proxyPort = at.proxyPort
    this.appPort = at.appPort
    this.url = `http://127.0.0.1:${at.proxyPort}`
    this.#bootMs = bootMs
  }

  /** A node and its application. It leads unless `leader` is given. */
  static async start(
    lab: Lab,
    name: string,
    leader?: TestNode,
    options: SiteOptions = {},
  ): Promise<ApplicationSite> {
    const { flags = [], environment, bootMs = 0, host = '127.0.0.1' } = options
    const db = lab.path(`${name}.db`)
    if (!leader) await lab.exec(db, ...TABLE)
    const [appPort, proxyPort] = [await freePort(), await freePort()]
    const all = [
      '--proxy',
      `${host}:${proxyPort}`,
      '--upstream',
      `http://127.0.0.1:${appPort}`,
      ...flags,
    ]
    const given = { flags: all, ...(environment ? { environment } : {}) }
    const node = leader ? await lab.replica(db, leader, given) : await lab.node(db, given)
    await node.ready()
    const site = new ApplicationSite(lab, node, { name, proxyPort, appPort }, bootMs)
    await site.startApp(leader ? 'replica' : 'leader')
    await site.listens()
    return site
  }

  /** Starts it in this role, after killing one that runs. Resolves before it listens. */
  async startApp(role: string): Promise<void> {
    await this.killApp()
    const { name, appPort: port } = this
    this.#app = this.#lab.program('bootingApp', {
      db: this.node.db,
      name,
      bootMs: this.#bootMs,
      port,
      role,
    })
  }

  async listens(): Promise<void> {
    await this.#app?.line((line) => line.includes('"listens"'))
  }

  async killApp(): Promise<void> {
    await this.#app?.stop('SIGKILL')
    this.#app = undefined
  }

  get(headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.url}/t`, { headers })
  }

  post(value: string): Promise<Response> {
    return fetch(`${this.url}/t`, { method: 'POST', body: value })
  }

  /** Waits until so many requests wait for this node's application. */
  async holds(count: number): Promise<void> {
    await until(`${this.name} holds ${count}`, async (saw) => {
      const held = await this.node.metric('walcast_application_held')
      saw(String(held))
      return held === count
    })
  }
}

export async function toldIn(answer: Promise<Response>): Promise<Told> {
  const got = await answer
  const text = await got.text()
  if (got.status !== 200) throw new Error(`${got.status} ${text}`)
  return JSON.parse(text)
}
