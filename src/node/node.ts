/** One node: its folder and lock, the engine of its role, and its private side. */
import { statSync } from 'node:fs'
import type { Logger } from 'pino'
import { type Clock, systemClock } from '../clock.ts'
import { NodeFile, type NodeRecord, newId } from '../cluster/nodeFile.ts'
import { WalcastError } from '../errors.ts'
import { type FileOps, makeFolder, systemFileOps } from '../fileOps.ts'
import { Authenticator } from '../http/auth.ts'
import type { NodeChecks } from '../http/checks.ts'
import { Events } from '../http/events.ts'
import { Metrics } from '../http/metrics.ts'
import { Server } from '../http/server.ts'
import type { NodeView } from '../http/view.ts'
import { Waits } from '../http/waits.ts'
import { inspectDatabase, resolveDatabase } from '../sqlite/databaseFiles.ts'
import { exec, isBusy, open, SqliteThread } from '../sqlite/sqliteThread.ts'
import { addressOf } from './address.ts'
import { LateView } from './lateView.ts'
import type { NodeOptions } from './options.ts'
import { Traffic } from './traffic.ts'

export interface NodeSetup {
  readonly options: NodeOptions
  readonly secret: string | undefined
  readonly log: Logger
  readonly version: string
  readonly clock?: Clock
  readonly ops?: FileOps
  /** Metrics of the process too; for a daemon. */
  readonly processMetrics?: boolean
  /** Called at each change of position and of what is known of the leader: cheap and never throwing. */
  readonly onChange?: () => void
}

/** The engine of a role, as the node sees it. */
export interface Engine {
  readonly view: NodeView
  readonly checks: NodeChecks
  /** Others send no more requests from now on; commits still reach them. */
  announceStop(): void
  stop(): Promise<void>
}

export type Role = 'leader' | 'replica'

/** What an engine is built with. */
export interface EngineParts {
  readonly setup: NodeSetup
  readonly clock: Clock
  readonly ops: FileOps
  readonly path: string
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly thread: SqliteThread
  readonly metrics: Metrics
  readonly traffic: Traffic
  /** The node's position moved, or what it knows of the leader's. */
  onMoved(): void
  /** The node cannot go on. */
  onFatal(error: WalcastError): void
}

/** Databases are named, so that one connection may later carry several. */
export const DATABASE_NAME = 'main'
const LOCK_CONNECTION = 'node-lock'

const EVENT_KEEP_ALIVE_MS = 15_000

interface NodeParts {
  readonly engine: Engine
  readonly server: Server
  readonly traffic: Traffic
  readonly thread: SqliteThread
  readonly waits: Waits
}

export class RunningNode {
  readonly #parts: NodeParts
  readonly view: NodeView
  /** Resolves with the reason when the node cannot go on; it is to be stopped then. */
  readonly failed: Promise<WalcastError>
  #stopping: Promise<void> | undefined

  constructor(parts: NodeParts, view: NodeView, failed: Promise<WalcastError>) {
    this.#parts = parts
    this.view = view
    this.failed = failed
  }

  get waits(): Waits {
    return this.#parts.waits
  }

  get traffic(): Traffic {
    return this.#parts.traffic
  }

  /** Readiness fails first, then requests under way are answered, then everything is closed. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const { engine, server, traffic, thread } = this.#parts
    server.announceStop()
    try {
      engine.announceStop()
      await traffic.drain()
      await engine.stop()
    } finally {
      await traffic.close()
      await server.close()
      await thread.stop([LOCK_CONNECTION])
    }
  }
}

/** Starts a node whose engine `build` makes. Throws the catalogue's start-up errors; nothing is left running then. */
export async function startNode(
  setup: NodeSetup,
  role: Role,
  build: (parts: EngineParts) => Promise<Engine>,
): Promise<RunningNode> {
  const { options, log } = setup
  const clock = setup.clock ?? systemClock
  const ops = setup.ops ?? systemFileOps
  const path = resolveDatabase(options.db)
  const stateFolder = `${path}-walcast`
  refuseForeign(path, role, NodeFile.peek(stateFolder))
  const thread = new SqliteThread()
  let engine: Engine | undefined
  let server: Server | undefined
  let traffic: Traffic | undefined
  try {
    makeFolder(stateFolder)
    await takeNodeLock(thread, path, stateFolder)
    const nodeFile = await NodeFile.open(stateFolder, ops, firstRecord(setup, role))
    if (options.name && options.name !== nodeFile.record.node) await nodeFile.update({ node: options.name })
    const view = new LateView(nodeFile, setup, clock)
    const waits = new Waits(options.maxWaits, (target) => view.reach(target))
    const metrics = new Metrics(setup.processMetrics ?? false)
    const auth = new Authenticator(setup.secret, clock)
    const events = new Events(
      { maxListeners: options.maxEventStreams, keepAliveMs: EVENT_KEEP_ALIVE_MS },
      view,
    )
    const { secret } = setup
    const http = { options, secret, clock, log, nodeFile, auth, view, waits, metrics: metrics.traffic() }
    const requests = new Traffic(http)
    traffic = requests
    server = new Server({
      ...addressOf(options.listen),
      log,
      auth,
      metrics,
      waits,
      view,
      events,
      intake: requests.intake,
      checks: () => engine?.checks,
      maxWaitMs: options.maxWaitMs,
      requestTimeoutMs: options.requestTimeoutMs,
      maxRequests: options.maxRequests,
      upstream: () => requests.upstream,
      publicUrl: () => requests.publicUrl,
      nowMs: () => clock.nowMs(),
    })
    await server.listen()
    await requests.listen()
    const { promise: failed, resolve: onFatal } = newSignal()
    thread.onDead = onFatal
    engine = await build({
      setup,
      clock,
      ops,
      path,
      stateFolder,
      nodeFile,
      thread,
      metrics,
      traffic: requests,
      onMoved() {
        waits.onMoved()
        events.onChange()
        setup.onChange?.()
      },
      onFatal,
    })
    view.engine = engine
    waits.onMoved()
    metrics.observe(view, waits)
    metrics.observeTraffic(requests, events)
    requests.open()
    return new RunningNode({ engine, server, traffic, thread, waits }, view, failed)
  } catch (error) {
    await engine?.stop()
    await traffic?.close()
    await server?.close()
    await thread.stop([LOCK_CONNECTION])
    throw error
  }
}

/** Fails fast, before anything is made, when the file cannot be for this role. */
function refuseForeign(path: string, role: Role, known: NodeRecord | undefined): void {
  if (role === 'leader') inspectDatabase(path)
  else if (!known && statSync(path, { throwIfNoEntry: false })) throw new WalcastError('NOT_A_COPY', { path })
  else if (!known && statSync(`${path}-wal`, { throwIfNoEntry: false }))
    throw new WalcastError('STRAY_WAL', { path: `${path}-wal` })
  if (known && (known.role === 'leader') !== (role === 'leader'))
    throw new WalcastError('NOT_LEADER', { address: path, role: known.role })
}

/** An exclusive SQLite lock on a file of the node's own: it goes with the process, however that ends. */
async function takeNodeLock(thread: SqliteThread, path: string, stateFolder: string): Promise<void> {
  const [opened, locked] = await thread.attempt(
    open(LOCK_CONNECTION, `${stateFolder}/lock`, 0, true),
    exec(LOCK_CONNECTION, 'BEGIN EXCLUSIVE'),
  )
  if (opened.ok && locked.ok) return
  const failed = opened.ok ? locked : opened
  if (isBusy(failed)) throw new WalcastError('ALREADY_RUNNING', { path })
  throw new WalcastError('WRITE_FAILED', { path: stateFolder, detail: failed.ok ? '' : failed.detail })
}

function firstRecord(setup: NodeSetup, role: Role): NodeRecord {
  return {
    format: 1,
    node: setup.options.name ?? newId('node'),
    cluster: role === 'leader' ? newId('cluster') : '',
    role: role === 'replica' && setup.options.standby ? 'standby' : role,
    epoch: 0,
    txidCeiling: 0,
  }
}

function newSignal(): {
  readonly promise: Promise<WalcastError>
  readonly resolve: (error: WalcastError) => void
} {
  let resolve: (error: WalcastError) => void = () => {}
  const promise = new Promise<WalcastError>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
