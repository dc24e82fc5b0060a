/**
 * Three nodes that fail over by themselves, each on a machine of its own before an application
 * (programs/roleApp.ts), and etcd on a fourth.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type Loss, type Machine, Machines } from '../machines.ts'
import { NamespaceDoors } from '../namespaceDoor.ts'
import { type Child, pause } from '../processes.ts'
import { type Context, newSetup } from '../suite.ts'
import type { Place, Setup } from '../system.ts'
import { makeDatabase, verifySame } from './content.ts'
import { type Asked, get } from './walcast.ts'

export const TTL_SECONDS = 3
const [NODE_PORT, PROXY_PORT, APP_PORT, ETCD_PORT] = [8470, 8080, 3000, 2379]
const NAMES = ['node1', 'node2', 'node3']
const PATIENCE_MS = 60_000
const COMMAND_TIMEOUT_MS = 60_000

export interface FailoverNode extends Asked {
  readonly machine: Machine
  readonly name: string
  readonly db: string
  child: Child
  app: Child
}

interface View {
  readonly role?: string
  readonly state?: string
  readonly epoch?: number
  readonly election?: { readonly counted: readonly string[] }
}

export class FailoverCluster {
  readonly nodes: FailoverNode[] = []
  readonly machines: Machines
  readonly #context: Context
  readonly #setup: Setup
  readonly #doors: NamespaceDoors
  readonly #flags: readonly string[]
  readonly #secret = randomBytes(24).toString('hex')
  #etcdUrl = ''

  private constructor(context: Context, machines: Machines, flags: readonly string[]) {
    this.#context = context
    this.machines = machines
    this.#flags = flags
    this.#setup = newSetup(context, 2)
    this.#doors = new NamespaceDoors(context)
  }

  /** `flags` are further ones of each node. Throws NotAvailable. */
  static async start(
    context: Context,
    etcd: string,
    flags: readonly string[],
  ): Promise<FailoverCluster> {
    const machines = await Machines.make([...NAMES, 'etcd'])
    const cluster = new FailoverCluster(context, machines, flags)
    try {
      await cluster.#startAll(etcd)
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** URLs of the proxies, in the order of the nodes. */
  get proxies(): string[] {
    return this.nodes.map(({ machine }) => `http://${machine.address}:${PROXY_PORT}`)
  }

  /** The leader, once every other one follows it and its confirmations count. */
  async settled(): Promise<FailoverNode> {
    return this.#until('one leads, the others follow', async () => {
      const views = await Promise.all(this.nodes.map((node) => view(node)))
      const at = views.findIndex(({ role }) => role === 'leader')
      if (at === -1) return undefined
      const { epoch, election } = views[at]
      const follows = (each: View) => each.state === 'streaming' && each.epoch === epoch
      const areLevel = views.every((each, i) => i === at || follows(each))
      return areLevel && (!election || election.counted.length === this.nodes.length - 1)
        ? this.nodes[at]
        : undefined
    })
  }

  /** Another node than this one leads. */
  async ledByOther(than: FailoverNode): Promise<void> {
    await this.#until('another node leads', async () => {
      const others = this.nodes.filter((node) => node !== than)
      const views = await Promise.all(others.map((node) => view(node)))
      return views.some(({ role }) => role === 'leader') || undefined
    })
  }

  async lose(node: FailoverNode): Promise<Loss> {
    const loss = await this.machines.lose(node.machine)
    await Promise.all([node.child.ended, node.app.ended])
    return loss
  }

  /** The machine is back, and starts what is not running. */
  async restart(node: FailoverNode): Promise<void> {
    await this.machines.mend(node.machine)
    if (!node.app.isRunning) node.app = await this.#startApp(node)
    if (!node.child.isRunning) node.child = this.#startNode(node)
  }

  /** As an operator does it, at the command line on the leader's machine. */
  async switchOver(from: FailoverNode, to: FailoverNode): Promise<void> {
    const args = ['switchover', this.#address(from), '--to', to.name]
    await this.#run(from.machine, 'switchover', args)
  }

  /** Requests that etcd has been sent so far, by its own count. */
  async etcdRequests(): Promise<number> {
    const response = await fetch(`${this.#etcdUrl}/metrics`)
    const lines = (await response.text()).split('\n')
    return lines
      .filter((line) => line.startsWith('grpc_server_started_total{'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  /** Throws unless all nodes hold the same rows. Nothing may write meanwhile. */
  async verify(): Promise<void> {
    await this.settled()
    const places = this.nodes.map(({ db }): Place => ({ client: 'sqlite', where: db }))
    await verifySame(this.#setup, places)
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ child }) => child.stop()))
    await Promise.all(this.nodes.map(({ app }) => app.stop()))
    await this.#doors.close()
    this.machines.remove()
  }

  async #startAll(etcd: string): Promise<void> {
    await this.#startEtcd(etcd)
    const machines = this.machines.all.slice(0, NAMES.length)
    for (const [i, machine] of machines.entries()) {
      const name = NAMES[i]
      const db = join(this.#setup.folder, `${name}.db`)
      if (i === 0) await makeDatabase(this.#setup, db, 'rows', 0)
      const port = await this.#doors.open(name, this.machines.clients, this.#addressAt(machine))
      const place = { url: `https://127.0.0.1:${port}`, secret: this.#secret }
      const own = { machine, name, db, place }
      const app = await this.#startApp(own)
      const child = this.#startNode(own)
      const node = { ...own, app, child }
      this.nodes.push(node)
      await this.#until(`${name} leads or follows`, async () => {
        const { role, state } = await view(node)
        return role === 'leader' || state === 'streaming' || undefined
      })
    }
  }

  async #startEtcd(etcd: string): Promise<void> {
    const [machine] = this.machines.all.slice(NAMES.length)
    const url = `http://${machine.address}:${ETCD_PORT}`
    const args = ['--data-dir', join(this.#setup.folder, 'etcd'), '--log-level', 'error']
    const listen = ['--listen-client-urls', url, '--advertise-client-urls', url]
    this.#spawn(machine, 'etcd', [etcd, ...args, '--logger', 'zap', ...listen])
    const door = await this.#doors.open('etcd', this.machines.clients, url.slice(7))
    this.#etcdUrl = `http://127.0.0.1:${door}`
    await this.#until('etcd answers', async () => {
      const answer = await fetch(`${this.#etcdUrl}/health`).catch(() => undefined)
      return answer?.ok || undefined
    })
  }

  #startNode({ machine, name, db }: Pick<FailoverNode, 'machine' | 'name' | 'db'>): Child {
    const [first] = this.machines.all
    const etcd = `http://${this.machines.all[NAMES.length].address}:${ETCD_PORT}`
    const flags = [
      ...['node', '--db', db, '--name', name, '--listen', this.#addressAt(machine)],
      ...['--proxy', `${machine.address}:${PROXY_PORT}`],
      ...['--upstream', `http://127.0.0.1:${APP_PORT}`],
      ...['--election', 'etcd', '--etcd', etcd, '--ttl', `${TTL_SECONDS}s`],
      ...(machine === first ? [] : ['--leader', this.#addressAt(first)]),
      ...this.#flags,
    ]
    return this.#spawn(machine, name, [...this.#cli, ...flags], { WALCAST_SECRET: this.#secret })
  }

  async #startApp({ machine, db }: Pick<FailoverNode, 'machine' | 'db'>): Promise<Child> {
    const script = join(this.#context.root, 'dist/bench/programs/roleApp.js')
    const args = [process.execPath, script, '--db', db, '--port', String(APP_PORT)]
    const app = this.#spawn(machine, 'app', args)
    await app.ready(PATIENCE_MS)
    app.go()
    return app
  }

  #spawn(
    machine: Machine,
    name: string,
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Child {
    const [file, ...args] = [...machine.prefix, ...command]
    return this.#context.processes.start({ name, file, args, env })
  }

  async #run(machine: Machine, name: string, args: readonly string[]): Promise<void> {
    const env = { WALCAST_SECRET: this.#secret }
    await this.#spawn(machine, name, [...this.#cli, ...args], env).result(COMMAND_TIMEOUT_MS)
  }

  get #cli(): string[] {
    return [process.execPath, join(this.#context.root, 'dist/bundle/cli/main.js')]
  }

  #address({ machine }: FailoverNode): string {
    return this.#addressAt(machine)
  }

  #addressAt({ address }: Machine): string {
    return `${address}:${NODE_PORT}`
  }

  async #lateness(what: string): Promise<Error> {
    const views = await Promise.all(this.nodes.map((node) => view(node)))
    const late = `not within ${PATIENCE_MS / 1000} s: ${what} (${views.map(textOf).join('; ')})`
    const dead = this.nodes.find(({ child }) => !child.isRunning)
    return dead?.child.failure(late) ?? new Error(late)
  }

  async #until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
    const deadlineMs = performance.now() + PATIENCE_MS
    for (;;) {
      const found = await ask()
      if (found !== undefined) return found
      if (performance.now() > deadlineMs) throw await this.#lateness(what)
      await pause(50)
    }
  }
}

function textOf({ role, state, epoch, election }: View): string {
  return `${role} ${state} ${epoch} counted ${election?.counted.join(' ')}`
}

/** Empty while it does not answer. */
async function view(node: Asked): Promise<View> {
  try {
    return Object(await get(node, '/_walcast/status', 'json'))
  } catch {
    return {}
  }
}
