/**
 * One machine of a bank's cluster: a node, the application behind its proxy, and the link through
 * which other nodes reach it.
 */
import type { NodeRole } from '../../src/api/roleAnswers.ts'
import type { Child } from './child.ts'
import { type Failing, startFailing } from './failingNode.ts'
import { type Lab, nodeArguments, type StartOptions } from './lab.ts'
import {
  type AuditEntry,
  audit,
  type Demoted,
  demote,
  type Fitness,
  fitness,
  type Promoted,
  type PromoteOptions,
  promote,
  type SwitchedOver,
  switchover,
} from './leadership.ts'
import type { Door } from './recordingClient.ts'
import type { TcpProxy } from './tcpProxy.ts'
import type { NodeCommand, TestNode } from './testNode.ts'
import { PATIENCE_MS, type Saw, until } from './until.ts'

interface Places {
  readonly name: string
  readonly db: string
  readonly port: number
  readonly proxyPort: number
  readonly appPort: number
  readonly app: Child
  /** Starts the application again after it has ended. */
  readonly startApp: () => Promise<Child>
  readonly link: TcpProxy
}

export interface Dying {
  /** From now on it kills itself at the `count`-th file operation `op`. */
  arm(op: string, count: number): Promise<void>
  /** Ends it now if it lives. Returns whether the operation had killed it. */
  end(): Promise<boolean>
}

export class BankSite implements Door {
  readonly name: string
  readonly db: string
  /** URL of the proxy. */
  readonly url: string
  /** Past the node, as an application's own jobs are. */
  readonly appUrl: string
  /** The link before the node's private side. Other nodes know its address. */
  readonly link: TcpProxy
  readonly #lab: Lab
  readonly #startApp: () => Promise<Child>
  #node: TestNode
  #app: Child

  private constructor(lab: Lab, places: Places, node: TestNode) {
    this.name = places.name
    this.db = places.db
    this.url = `http://127.0.0.1:${places.proxyPort}`
    this.appUrl = `http://127.0.0.1:${places.appPort}`
    this.#app = places.app
    this.#startApp = places.startApp
    this.link = places.link
    this.#lab = lab
    this.#node = node
  }

  /** A leader unless a leader is named. */
  static async start(
    lab: Lab,
    places: Places,
    leader: string | undefined,
    options: StartOptions,
  ): Promise<BankSite> {
    const { db, port, proxyPort, appPort, link, name } = places
    const own = [
      ['--name', name],
      ['--advertise', link.address],
      ['--proxy', `127.0.0.1:${proxyPort}`],
      ['--upstream', `http://127.0.0.1:${appPort}`],
    ].flat()
    const all = { ...options, port, flags: [...own, ...(options.flags ?? [])] }
    const node = leader ? await lab.replica(db, leader, all) : await lab.leader(db, all)
    return new BankSite(lab, places, node)
  }

  /** The current process, or the last one. */
  get node(): TestNode {
    return this.#node
  }

  /** The application's current process, or the last one. */
  get app(): Child {
    return this.#app
  }

  /** HOST:PORT by which other nodes know it. */
  get address(): string {
    return this.link.address
  }

  /** By the path that applications and load balancers use. */
  async role(): Promise<NodeRole> {
    const { text } = await this.#node.get('/leader', {}, 5000)
    return JSON.parse(text).role
  }

  async waitRole(role: NodeRole): Promise<void> {
    await until(`${this.name} is a ${role}`, async () => (await this.role()) === role)
  }

  /** Waits until it streams from a leader of this epoch or a later one. */
  async waitStreaming(epoch: number): Promise<void> {
    const isThere = async (saw: Saw) => {
      const status = await this.#node.status()
      saw(`${status.role} ${status.state} ${status.epoch}-${status.txid}`)
      return status.role !== 'leader' && status.state === 'streaming' && status.epoch >= epoch
    }
    await until(`${this.name} streams in epoch ${epoch}`, isThere)
  }

  promote(options: PromoteOptions = {}): Promise<Promoted> {
    return promote(this.#node, options)
  }

  demote(leader?: BankSite): Promise<Demoted> {
    return demote(this.#node, leader ? { leader: leader.address } : {})
  }

  /** Asks this node, whichever node leads. */
  switchover(to?: BankSite, timeoutMs?: number): Promise<SwitchedOver> {
    return switchover(this.#node, {
      ...(to ? { to: to.address } : {}),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    })
  }

  fitness(): Promise<Fitness> {
    return fitness(this.#node)
  }

  audit(): Promise<readonly AuditEntry[]> {
    return audit(this.#node)
  }

  /** Restarts it in place, with its first command unless another is given. */
  async restart(options: StartOptions = {}, command?: NodeCommand): Promise<void> {
    this.#node = await this.#lab.restart(this.#node, options, command)
  }

  /**
   * Stops node and application, runs `change` while nothing has the database open, and starts both.
   */
  async changeFiles(change: () => Promise<void>, signal: NodeJS.Signals): Promise<void> {
    await this.#node.stop(signal)
    await this.#app.stop('SIGKILL')
    await change()
    this.#app = await this.#startApp()
    await this.restart()
  }

  /** Runs it in a process that can be told to die at a file operation. Its leader may be away. */
  async restartDying(): Promise<Dying> {
    await this.#node.stop()
    const { role, options } = this.#node
    const child = this.#lab.program(
      'nodeAt',
      { args: nodeArguments(role, options) },
      options.environment,
    )
    child.expectEnd()
    await child.errorLine((line) => line.includes('"msg":"running"'))
    this.#node = this.#lab.nodeOf(role, options, child)
    return {
      arm: async (op, count) => {
        child.write(JSON.stringify({ op, count }))
        await child.line((line) => line.includes('armed'))
      },
      end: async () => {
        await child.stop('SIGKILL')
        return child.out.some((line) => line.includes('"dying"'))
      },
    }
  }

  /** Runs it in a process whose disk can be told to fail. */
  async restartFailing(): Promise<Failing> {
    await this.#node.stop()
    const { role, options } = this.#node
    const failing = await startFailing(this.#lab, role, options)
    this.#node = failing.node
    await this.#node.ready()
    return failing
  }

  /** Cuts this node off from other nodes, until `mend`. */
  cut(): void {
    this.link.tamper = () => undefined
    this.link.cutAll()
  }

  mend(): void {
    this.link.tamper = (bytes) => bytes
  }

  /** Log lines of the current process at level error or worse. */
  loud(): readonly string[] {
    return this.#node.child.err.filter((line) => /^\{"level":"(error|fatal)",/.test(line))
  }

  /**
   * Log lines of the current process about comparing its copy with the leader's, except the first
   * copy.
   */
  resyncs(): readonly string[] {
    return this.#node
      .logged('comparing pages')
      .filter((line) => !line.includes('"reason":"first copy"'))
  }

  /** Ids of transfers in the kept bundles that this node has compared. */
  async keptTransfers(): Promise<readonly string[]> {
    const { diverged = [] } = await this.#node.status()
    const ids: string[] = []
    for (const { name } of diverged.filter(({ state }) => state === 'compared')) {
      const session = this.#lab.sql(`${this.db}-walcast/diverged/${name}/database.db`, {
        readOnly: true,
      })
      ids.push(...(await session.rows('SELECT id FROM transfers')).map(([id]) => String(id)))
      await session.close()
    }
    return ids
  }

  /**
   * How often the application opened the database since its start: once, in any role of its node.
   */
  async timesOpened(): Promise<number> {
    const answer = await fetch(`${this.appUrl}/about`, { signal: AbortSignal.timeout(PATIENCE_MS) })
    return Object(await answer.json()).opened
  }

  /** A transfer by the application itself, past every node. Returns the status. */
  async transferDirectly(id: string): Promise<number> {
    const answer = await fetch(`${this.appUrl}/transfer`, {
      method: 'POST',
      body: JSON.stringify({ id, from: 1, to: 2, amount: 1 }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    await answer.arrayBuffer()
    return answer.status
  }
}
