/** walcast as a system under test: `leader` and `replica` of the checkout's own command line. */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Child, freePort, pause } from './processes.ts'
import { parseMetrics, sumOf } from './prometheus.ts'
import type {
  DatabaseKind,
  Position,
  Program,
  RunningNode,
  RunningSystem,
  Setup,
  System,
  Watching,
  Writing,
} from './system.ts'

const READY_TIMEOUT_MS = 120_000
const DIGEST_TIMEOUT_MS = 300_000
const VALUE_BYTES = 100
const WATCHED: Record<Watching['what'], string> = {
  rows: 'SELECT max(id) FROM t',
  marker: 'SELECT n FROM marker',
}

const leaderPath = (setup: Setup) => join(setup.folder, 'leader.db')
const replicaPath = (setup: Setup, replica: number) => join(setup.folder, `replica${replica}`, 'replica.db')

export const walcast: System = {
  name: 'walcast',
  prepare,
  writerAlone: (setup, writing) => writerProgram(leaderPath(setup), writing),
  async start(setup) {
    const running = new RunningWalcast(setup)
    await running.startLeader()
    for (let i = 1; i <= setup.replicas; i++) await running.addReplica()
    return running
  },
}

async function prepare(setup: Setup, kind: DatabaseKind, megabytes: number): Promise<void> {
  const args = ['--db', leaderPath(setup), '--kind', kind, '--mb', String(megabytes)]
  await setup.processes.run(program(setup, 'prepare', 'programs/makeDatabase.js', args), DIGEST_TIMEOUT_MS)
}

function program(setup: Setup, name: string, script: string, args: readonly string[]) {
  return { name, file: process.execPath, args: [join(setup.root, 'dist/bench', script), ...args] }
}

function writerProgram(db: string, writing: Writing): Program {
  const common = ['--db', db]
  switch (writing.kind) {
    case 'paced': {
      const { warmupPerSecond, warmupCount, ratePerSecond, count, log } = writing
      const warmup = ['--warmup-rate', warmupPerSecond, '--warmup-count', warmupCount]
      const args = [...warmup, '--rate', ratePerSecond, '--count', count, '--log', log]
      const fixed = ['--value-bytes', VALUE_BYTES, '--autocheckpoint', 1000]
      return { script: 'programs/pacedWriter.js', args: [...common, ...args, ...fixed].map(String) }
    }
    case 'full': {
      const { seconds, autocheckpoint } = writing
      const args = ['--seconds', seconds, '--autocheckpoint', autocheckpoint, '--value-bytes', VALUE_BYTES]
      return { script: 'programs/fullSpeedWriter.js', args: [...common, ...args].map(String) }
    }
    case 'large': {
      const { firstId, transactions, pages, autocheckpoint, log } = writing
      const size = ['--first-id', firstId, '--transactions', transactions, '--pages', pages]
      const args = [...size, '--log', log]
      return {
        script: 'programs/largeWriter.js',
        args: [...common, ...args, '--autocheckpoint', autocheckpoint].map(String),
      }
    }
  }
}

interface WalcastNode extends RunningNode {
  readonly child: Child
  readonly url: string
  readonly db: string
}

interface Status extends Position {
  readonly epoch: number
}

class RunningWalcast implements RunningSystem {
  readonly #setup: Setup
  readonly #nodes: WalcastNode[] = []
  #leaderAddress = ''
  #epoch = 0

  constructor(setup: Setup) {
    this.#setup = setup
  }

  get nodes(): readonly RunningNode[] {
    return this.#nodes
  }

  async startLeader(): Promise<void> {
    const address = `127.0.0.1:${await freePort()}`
    this.#leaderAddress = address
    const leader = this.#startNode('leader', leaderPath(this.#setup), address, ['leader'])
    await this.#whenReady(leader)
    this.#epoch = (await status(leader)).epoch
  }

  async addReplica(): Promise<void> {
    const number = this.#nodes.length
    const db = replicaPath(this.#setup, number)
    mkdirSync(dirname(db))
    const address = `127.0.0.1:${await freePort()}`
    const args = ['replica', '--leader', this.#leaderAddress]
    await this.#whenReady(this.#startNode(`replica${number}`, db, address, args))
  }

  writer(writing: Writing): Program {
    return writerProgram(leaderPath(this.#setup), writing)
  }

  reader(watching: Watching): Program {
    const { what, replica, until, maxSeconds, pauseMs, log } = watching
    const args = ['--db', replicaPath(this.#setup, replica), '--sql', WATCHED[what], '--until', until]
    const bounds = ['--max-seconds', maxSeconds, '--pause-ms', pauseMs, '--log', log]
    return { script: 'programs/reader.js', args: [...args, ...bounds].map(String) }
  }

  async position(): Promise<Position> {
    return status(this.#nodes[0])
  }

  async whenLevel(txid: number, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    for (;;) {
      const all = await Promise.all(this.#nodes.map((node) => status(node)))
      const [leader] = all
      if (leader.epoch !== this.#epoch)
        throw new Error(`the leader lost its place: epoch ${this.#epoch} became ${leader.epoch}`)
      const isLevel = all.every((each) => each.txid === leader.txid && each.checksum === leader.checksum)
      if (isLevel && leader.txid >= txid) return
      if (performance.now() > deadlineMs)
        throw new Error(`not level after ${timeoutMs / 1000} s: ${JSON.stringify(all)}, wanted txid ${txid}`)
      await pause(3)
    }
  }

  async figures(): Promise<Readonly<Record<string, number>>> {
    const figures: Record<string, number> = {}
    for (const node of this.#nodes) {
      const metrics = parseMetrics(await get(node, '/metrics', 'text'))
      const names = metrics.map((each) => each.name).filter((name) => /^walcast_(?!.*_bucket$)/.test(name))
      for (const name of new Set(names)) figures[`${node.name}.${name}`] = sumOf(metrics, name)
      if (node.name === 'leader') continue
      const lag = await get(node, '/_walcast/lag', 'json')
      for (const [key, value] of Object.entries(flatten(lag))) figures[`${node.name}.lag.${key}`] = value
    }
    return figures
  }

  /** By the nodes' own checksums, and by reading every row of every file in a process of its own. */
  async verify(): Promise<void> {
    const { processes } = this.#setup
    await this.whenLevel(0, 30_000)
    const digests = await Promise.all(
      this.#nodes.map((node) =>
        processes.run(
          program(this.#setup, 'digest', 'programs/digest.js', ['--db', node.db]),
          DIGEST_TIMEOUT_MS,
        ),
      ),
    )
    if (new Set(digests).size !== 1)
      throw new Error(`a replica differs from the leader: ${digests.join(' ')}`)
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes.toReversed()) await node.child.stop()
  }

  #startNode(name: string, db: string, address: string, args: readonly string[]): WalcastNode {
    const { processes, root, nodeArgs } = this.#setup
    const cli = [...nodeArgs, join(root, 'dist/src/cli/main.js'), ...args]
    const child = processes.start({
      name,
      file: process.execPath,
      args: [...cli, '--db', db, '--listen', address],
    })
    const node = { name, pid: child.pid, child, url: `http://${address}`, db }
    this.#nodes.push(node)
    return node
  }

  async #whenReady(node: WalcastNode): Promise<void> {
    const deadlineMs = performance.now() + READY_TIMEOUT_MS
    while (!(await isReady(node))) {
      if (!node.child.isRunning) throw node.child.failure('ended')
      if (performance.now() > deadlineMs) throw node.child.failure('does not become ready')
      await pause(5)
    }
  }
}

async function isReady(node: WalcastNode): Promise<boolean> {
  try {
    const response = await fetch(`${node.url}/readyz`, { signal: AbortSignal.timeout(5000) })
    await response.arrayBuffer()
    return response.status === 200
  } catch {
    return false
  }
}

async function get(node: WalcastNode, path: string, as: 'text'): Promise<string>
async function get(node: WalcastNode, path: string, as: 'json'): Promise<unknown>
async function get(node: WalcastNode, path: string, as: 'text' | 'json'): Promise<unknown> {
  const response = await fetch(node.url + path, { signal: AbortSignal.timeout(10_000) })
  if (response.status !== 200) throw node.child.failure(`answers ${response.status} to ${path}`)
  return as === 'text' ? response.text() : response.json()
}

async function status(node: WalcastNode): Promise<Status> {
  const answer = Object(await get(node, '/_walcast/status', 'json')) as Partial<Record<string, unknown>>
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
