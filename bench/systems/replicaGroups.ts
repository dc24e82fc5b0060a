/**
 * Replicas in number: several to a process, embedded, since as many processes would not fit on one
 * machine.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import type { Seen } from '../arithmetic.ts'
import { readSeen } from '../eventLog.ts'
import { type Child, pause } from '../processes.ts'
import { cpuMsOf, memoryOf } from '../procfs.ts'
import { parseMetrics, sumOf } from '../prometheus.ts'
import type { Place, Setup } from '../system.ts'
import { type Asked, get, type Status, status } from './walcast.ts'

/** For the process to say that its replicas are whole, beyond their own time for it. */
const MARGIN_MS = 30_000
const READY_MS = 60_000
/** Between two looks at those that are not level. */
const LOOK_MS = 20

interface GroupedReplica extends Asked {
  readonly listen: string
  readonly db: string
}

/** Of the last minute, by the replica's own report. */
export interface OwnLag {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface GroupOptions {
  readonly perProcess: number
  /** That each replica notes. */
  readonly maxPositions: number
}

export class ReplicaGroups {
  readonly #setup: Setup
  readonly #options: GroupOptions
  readonly #children: Child[] = []
  readonly #replicas: GroupedReplica[] = []

  constructor(setup: Setup, options: GroupOptions) {
    this.#setup = setup
    this.#options = options
  }

  get processes(): number {
    return this.#children.length
  }

  /** HOST:PORT of each, in the order in which they were added. */
  get addresses(): string[] {
    return this.#replicas.map(({ listen }) => listen)
  }

  get places(): Place[] {
    return this.#replicas.map(({ db }) => ({ client: 'sqlite', where: db }))
  }

  /** Starts one replica of each of these addresses, and waits until their copies are whole. */
  async add(leaders: readonly string[], readyMs = READY_MS): Promise<void> {
    const { perProcess } = this.#options
    for (let i = 0; i < leaders.length; i += perProcess)
      await this.#startGroup(leaders.slice(i, i + perProcess), readyMs)
  }

  /** Resolves when all of them stand where the leader does. */
  async whenLevel(leader: Status, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    for (let behind = this.#replicas; ; ) {
      const all = await Promise.all(behind.map((replica) => status(replica)))
      behind = behind.filter(
        (_, i) => all[i].txid !== leader.txid || all[i].checksum !== leader.checksum,
      )
      if (behind.length === 0) return
      if (performance.now() > deadlineMs)
        throw new Error(`${behind.length} replicas are not level after ${timeoutMs / 1000} s`)
      await pause(LOOK_MS)
    }
  }

  /** CPU time of all their processes. */
  cpuMs(): number {
    return this.#children.reduce((sum, { pid }) => sum + cpuMsOf(pid), 0)
  }

  /** Largest so far, of all their processes. */
  peakRssBytes(): number {
    return this.#children.reduce((sum, { pid }) => sum + memoryOf(pid).peakRssBytes, 0)
  }

  lags(): Promise<OwnLag[]> {
    return Promise.all(
      this.#replicas.map(async (replica) => ownLag(await get(replica, '/_walcast/lag', 'json'))),
    )
  }

  /** Of the one that was added last. */
  async appliedBatches(): Promise<number> {
    const last = this.#replicas.at(-1)
    if (!last) return Number.NaN
    return sumOf(parseMetrics(await get(last, '/metrics', 'text')), 'walcast_apply_batches_total')
  }

  async stop(): Promise<void> {
    // Those that were added last may follow those before.
    for (const child of this.#children.toReversed()) await child.stop()
  }

  /**
   * Of each replica: its positions (`maxId` is a txid) and when it had applied them. Only after
   * `stop`.
   */
  positions(): Seen[][] {
    return this.#replicas.map(({ db }) => readSeen(`${db}.seen`))
  }

  async #startGroup(leaders: readonly string[], readyMs: number): Promise<void> {
    const { processes, root, nodeArgs } = this.#setup
    const name = `replica${this.#children.length + 1}`
    const folder = join(this.#setup.folder, name)
    mkdirSync(folder)
    const listens = await Promise.all(leaders.map(async () => `127.0.0.1:${await freePort()}`))
    const addresses = { listen: listens.join(','), leaders: leaders.join(',') }
    const flags = {
      folder,
      ...addresses,
      'ready-ms': readyMs,
      capacity: this.#options.maxPositions,
    }
    const script = join(root, 'dist/bench/programs/replicaGroup.js')
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])
    const child = processes.start({
      name,
      file: process.execPath,
      args: [...nodeArgs, script, ...args],
    })
    this.#children.push(child)
    await child.ready(readyMs + MARGIN_MS)
    for (const [i, listen] of listens.entries())
      this.#replicas.push({
        ...{ child, listen, place: { url: `http://${listen}` } },
        db: join(folder, `${i + 1}.db`),
      })
  }
}

function ownLag(report: unknown): OwnLag {
  const { p50Ms, p99Ms, maxMs } = Object(report) as Partial<Record<string, unknown>>
  return { p50Ms: Number(p50Ms), p99Ms: Number(p99Ms), maxMs: Number(maxMs) }
}
