/** walcast as a system under test: `leader` and `replica` of the checkout's own command line. */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Agent, request } from 'undici'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { NO_BODY, REPLICA_AUTH_HEADER, signRequest } from '../../src/security/requestSignature.ts'
import { type NodePlace, onLoopback, type Placement } from '../placement.ts'
import { type Child, pause } from '../processes.ts'
import { parseMetrics, sumOf } from '../prometheus.ts'
import type { Place, RunningNode, RunningSystem, Setup, System } from '../system.ts'
import { makeDatabase, verifySame } from './content.ts'

const READY_TIMEOUT_MS = 120_000
const LEVEL_TIMEOUT_MS = 30_000

export const leaderPath = (setup: Setup) => join(setup.folder, 'leader.db')
const replicaPath = (setup: Setup, replica: number) =>
  join(setup.folder, `replica${replica}`, 'replica.db')

export const walcast: System = {
  name: 'walcast',
  hasPages: true,
  async install() {},
  prepare: (setup, kind, megabytes) => makeDatabase(setup, leaderPath(setup), kind, megabytes),
  async startAlone(setup) {
    return { nodes: [], primary: { client: 'sqlite', where: leaderPath(setup) }, async stop() {} }
  },
  start: startWalcast,
}

/** What the nodes tell each other is encrypted; the rest is the same. */
export const walcastTls: System = {
  ...walcast,
  name: 'walcast-tls',
  start: (setup) => startWalcast(setup, { placement: overTls }),
}

const overTls: Placement = async (node, leader) => {
  const place = await onLoopback(node, leader)
  return { ...place, url: `https://${place.listen}`, secret: TLS_SECRET }
}

const TLS_SECRET = 'a secret for measurements'
/** Nodes have certificates that only nodes know. */
const anyCertificate = new Agent({ connect: { rejectUnauthorized: false } })

export interface WalcastOptions {
  /** Further arguments of `walcast leader`. */
  readonly leaderArgs?: readonly string[]
  /** ... and of `walcast replica`, the same for every one. */
  readonly replicaArgs?: readonly string[]
  readonly placement?: Placement
  /** Added to the environment of every node. */
  readonly env?: Readonly<Record<string, string>>
  /** Within which a node has to become ready. */
  readonly readyTimeoutMs?: number
}

export async function startWalcast(
  setup: Setup,
  options: WalcastOptions = {},
): Promise<RunningWalcast> {
  const running = new RunningWalcast(setup, options)
  await running.startLeader()
  for (let i = 1; i <= setup.replicas; i++) await running.addReplica()
  return running
}

interface WalcastNode extends RunningNode {
  readonly child: Child
  readonly place: NodePlace
  readonly db: string
}

export interface Status {
  readonly txid: number
  readonly checksum: string
  readonly epoch: number
}

export class RunningWalcast implements RunningSystem {
  readonly #setup: Setup
  readonly #leaderArgs: readonly string[]
  readonly #replicaArgs: readonly string[]
  readonly #nodes: WalcastNode[] = []
  readonly #placement: Placement
  readonly #readyTimeoutMs: number
  readonly #env: Readonly<Record<string, string>>
  #leaderPlace: NodePlace | undefined
  /** Where the leader stood when it started: commits are counted from there. */
  #start: Status = { txid: 0, checksum: '', epoch: 0 }

  constructor(setup: Setup, options: WalcastOptions) {
    const { leaderArgs = [], replicaArgs = [], placement = onLoopback } = options
    this.#setup = setup
    this.#readyTimeoutMs = options.readyTimeoutMs ?? READY_TIMEOUT_MS
    this.#leaderArgs = leaderArgs
    this.#replicaArgs = replicaArgs
    this.#placement = placement
    this.#env = options.env ?? {}
  }

  get nodes(): readonly RunningNode[] {
    return this.#nodes
  }

  /** Of the leader, when it was started. */
  get epoch(): number {
    return this.#start.epoch
  }

  /** Of the leader, when it was started: commits are counted from there. */
  get startTxid(): number {
    return this.#start.txid
  }

  /** What is needed to ask a node something: the leader is 0, replicas count from 1. */
  asked(node: number): Asked {
    return this.#nodes[node]
  }

  /** HOST:PORT at which replicas find the leader; undefined before it is started. */
  get leaderAddress(): string | undefined {
    return this.#leaderPlace?.listen
  }

  /** Where the leader stands. */
  leaderStatus(): Promise<Status> {
    return status(this.#nodes[0])
  }

  get primary(): Place {
    return { client: 'sqlite', where: leaderPath(this.#setup) }
  }

  get replicas(): readonly Place[] {
    return this.#nodes.slice(1).map((node) => ({ client: 'sqlite', where: node.db }))
  }

  async startLeader(): Promise<void> {
    const place = await this.#placement('leader')
    this.#leaderPlace = place
    const leader = this.#startNode('leader', leaderPath(this.#setup), place, [
      'leader',
      ...this.#leaderArgs,
    ])
    await this.#whenReady(leader)
    this.#start = await status(leader)
  }

  /** Resolves when the replica is ready. */
  async addReplica(): Promise<void> {
    const number = this.#nodes.length
    mkdirSync(dirname(replicaPath(this.#setup, number)), { recursive: true })
    await this.#startReplica(number)
  }

  /** Restarts the leader at the same address; what it had in memory is gone. */
  async restartLeader(): Promise<void> {
    const [leader, ...replicas] = this.#nodes.splice(0)
    await leader.child.stop()
    const args = ['leader', ...this.#leaderArgs]
    await this.#whenReady(this.#startNode('leader', leader.db, leader.place, args))
    this.#nodes.push(...replicas)
  }

  /** Ends the leader at once, as a crash does; there must be no replicas. */
  async killLeader(): Promise<void> {
    const leader = this.#nodes.pop()
    leader?.child.kill()
    await leader?.child.ended
  }

  /** Stops the last replica; its copy stays. */
  async stopLastReplica(): Promise<void> {
    await this.#nodes.pop()?.child.stop()
  }

  /** Restarts the replica that `stopLastReplica` stopped. Does not wait until it has caught up. */
  async startLastReplica(): Promise<void> {
    await this.#startReplica(this.#nodes.length)
  }

  async #startReplica(number: number): Promise<void> {
    const name = `replica${number}`
    const place = await this.#placement(name, this.#leaderPlace)
    const args = ['replica', '--leader', place.leader, ...this.#replicaArgs]
    const db = replicaPath(this.#setup, number)
    await this.#whenReady(this.#startNode(name, db, place, args))
  }

  /** Looks every `pauseMs`. */
  async whenLevel(id: number, timeoutMs: number, pauseMs = 3): Promise<void> {
    const txid = this.#start.txid + id
    const deadlineMs = performance.now() + timeoutMs
    for (;;) {
      const all = await Promise.all(this.#nodes.map((node) => status(node)))
      const [leader] = all
      if (leader.epoch !== this.#start.epoch)
        throw new Error(
          `the leader lost its place: epoch ${this.#start.epoch} became ${leader.epoch}`,
        )
      const isLevel = all.every(
        (each) => each.txid === leader.txid && each.checksum === leader.checksum,
      )
      if (isLevel && leader.txid >= txid) return
      if (performance.now() > deadlineMs)
        throw new Error(
          `not level after ${timeoutMs / 1000} s: ${JSON.stringify(all)}, wanted txid ${txid}`,
        )
      await pause(pauseMs)
    }
  }

  async figures(): Promise<Readonly<Record<string, number>>> {
    const figures: Record<string, number> = {}
    for (const node of this.#nodes) {
      const metrics = parseMetrics(await get(node, '/metrics', 'text'))
      const names = metrics
        .map((each) => each.name)
        .filter((name) => /^walcast_(?!.*_bucket$)/.test(name))
      for (const name of new Set(names)) figures[`${node.name}.${name}`] = sumOf(metrics, name)
      for (const { name, labels, value } of metrics)
        if (/^walcast_.*_bucket$/.test(name)) figures[`${node.name}.${name}${labels}`] = value
      if (node.name === 'leader') continue
      const lag = await get(node, '/_walcast/lag', 'json')
      for (const [key, value] of Object.entries(flatten(lag)))
        figures[`${node.name}.lag.${key}`] = value
    }
    return figures
  }

  /** A counter or gauge of the leader; NaN when missing. Unlike `figures` it asks no other node. */
  async leaderMetric(name: string): Promise<number> {
    const metrics = parseMetrics(await get(this.#nodes[0], '/metrics', 'text'))
    return metrics.find((each) => each.name === name)?.value ?? Number.NaN
  }

  /** Of a replica, counted from 1, by its own report of the last minute. */
  async lagP99Ms(replica: number): Promise<number> {
    return Number(Object(await get(this.#nodes[replica], '/_walcast/lag', 'json')).p99Ms)
  }

  /**
   * By the nodes' own checksums, and by reading every row of every file in a process of its own.
   */
  async verify(): Promise<void> {
    await this.whenLevel(0, LEVEL_TIMEOUT_MS)
    await verifySame(this.#setup, [this.primary, ...this.replicas])
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes.toReversed()) await node.child.stop()
  }

  #startNode(name: string, db: string, place: NodePlace, args: readonly string[]): WalcastNode {
    const { processes, root, nodeArgs } = this.#setup
    const cli = [process.execPath, ...nodeArgs, join(root, 'dist/bundle/cli/main.js'), ...args]
    const tls = place.url.startsWith('https:') ? ['--tls'] : []
    const [file, ...rest] = [...place.prefix, ...cli, '--db', db, '--listen', place.listen, ...tls]
    const env = { ...this.#env, ...(place.secret ? { WALCAST_SECRET: place.secret } : {}) }
    const child = processes.start({ name, file, args: rest, env })
    const node = { name, pid: child.pid, child, place, db }
    this.#nodes.push(node)
    return node
  }

  async #whenReady(node: WalcastNode): Promise<void> {
    const deadlineMs = performance.now() + this.#readyTimeoutMs
    while (!(await isReady(node))) {
      if (!node.child.isRunning) throw node.child.failure('ended')
      if (performance.now() > deadlineMs) throw node.child.failure('does not become ready')
      await pause(5)
    }
  }
}

async function isReady(node: WalcastNode): Promise<boolean> {
  try {
    return (await ask(`${node.place.url}/readyz`, AbortSignal.timeout(5000))).status === 200
  } catch {
    return false
  }
}

/** What is needed to ask a node something. */
export interface Asked {
  readonly child: Child
  readonly place: Pick<NodePlace, 'url' | 'secret'>
}

/** Throws unless it answers with 200. */
export async function get(node: Asked, path: string, as: 'text'): Promise<string>
export async function get(node: Asked, path: string, as: 'json'): Promise<unknown>
export async function get(node: Asked, path: string, as: 'text' | 'json'): Promise<unknown> {
  const { url, secret } = node.place
  const signal = AbortSignal.timeout(10_000)
  const asked = async () => {
    const headers = secret ? await signed(secret, url, path, signal) : {}
    return ask(url + path, signal, headers)
  }
  const response = await asked().catch((error) => {
    throw node.child.failure(
      `does not answer ${path}: ${error instanceof Error ? error.message : error}`,
    )
  })
  if (response.status !== 200) throw node.child.failure(`answers ${response.status} to ${path}`)
  return as === 'text' ? response.text : JSON.parse(response.text)
}

async function ask(
  url: string,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const dispatcher = url.startsWith('https:') ? { dispatcher: anyCertificate } : {}
  const { statusCode: status, body } = await request(url, { headers, signal, ...dispatcher })
  return { status, text: await body.text() }
}

/** Signs a question as the command line does. Open paths take it without a signature. */
async function signed(
  secret: string,
  url: string,
  path: string,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  if (!path.startsWith('/_walcast/')) return {}
  const answer = await ask(`${url}/leader`, signal)
  const { node: to, timeMs: nowMs } = Object(JSON.parse(answer.text))
  const question = { purpose: 'order', method: 'GET', path, from: 'cli', to, epoch: 0 } as const
  const signature = { ...question, nowMs, body: NO_BODY, headers: [] }
  return { [REPLICA_AUTH_HEADER]: signRequest(new ClusterSecrets([secret]), signature) }
}

export async function status(node: Asked): Promise<Status> {
  const answer = Object(await get(node, '/_walcast/status', 'json')) as Partial<
    Record<string, unknown>
  >
  const { txid, epoch, checksum } = answer
  if (typeof txid !== 'number' || typeof epoch !== 'number' || typeof checksum !== 'string')
    throw node.child.failure(`answers no status: ${JSON.stringify(answer)}`)
  return { txid, epoch, checksum }
}

/** The numbers of a nested object, with their paths as keys. */
function flatten(value: unknown, prefix = ''): Record<string, number> {
  const numbers: Record<string, number> = {}
  for (const [key, each] of Object.entries(Object(value))) {
    if (typeof each === 'number') numbers[prefix + key] = each
    else if (typeof each === 'object') Object.assign(numbers, flatten(each, `${prefix}${key}.`))
  }
  return numbers
}
