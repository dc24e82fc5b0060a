/** One node: its folder and lock, its private side, and the roles that it has one after another. */
import { statSync } from 'node:fs'
import { systemClock } from '../clock.ts'
import { AuditLog } from '../cluster/auditLog.ts'
import { Members } from '../cluster/members.ts'
import { NodeFile, type NodeRecord, newId } from '../cluster/nodeFile.ts'
import { PeersFile, readPeers } from '../cluster/peersFile.ts'
import type { RoleHooks } from '../cluster/roleHooks.ts'
import { WalcastError } from '../errors.ts'
import { makeFolder, systemFileOps } from '../fileOps.ts'
import { Authenticator } from '../http/auth.ts'
import { Events } from '../http/events.ts'
import { Metrics } from '../http/metrics.ts'
import { Server } from '../http/server.ts'
import type { NodeView } from '../http/view.ts'
import { Waits } from '../http/waits.ts'
import { ReplicaList } from '../leader/replicaList.ts'
import { inspectDatabase, resolveDatabase } from '../sqlite/databaseFiles.ts'
import { exec, isBusy, open, SqliteThread } from '../sqlite/sqliteThread.ts'
import { addressOf } from './address.ts'
import type { NodeSetup } from './engine.ts'
import { LateView } from './lateView.ts'
import { roleHooksOf } from './nodeHooks.ts'
import type { NodeOptions } from './options.ts'
import { RoleJournal } from './roleJournal.ts'
import { Roles } from './roles.ts'
import { Traffic } from './traffic.ts'

/** As what a node is started: in one role, or in the one that its role file says. */
export type StartAs = 'leader' | 'replica' | 'node'

const LOCK_CONNECTION = 'node-lock'
const EVENT_KEEP_ALIVE_MS = 15_000

interface NodeParts {
  readonly roles: Roles
  readonly server: Server
  readonly traffic: Traffic
  readonly thread: SqliteThread
  readonly waits: Waits
  readonly members: Members
  readonly peersFile: PeersFile
  readonly audit: AuditLog
  readonly hooks: RoleHooks
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

  get roles(): Roles {
    return this.#parts.roles
  }

  /** Readiness fails first, then requests under way are answered, then everything is closed. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const { roles, server, traffic, thread, members, peersFile, audit, hooks } = this.#parts
    server.announceStop()
    try {
      roles.announceStop()
      await traffic.drain()
      await roles.stop()
    } finally {
      await traffic.close()
      await server.close()
      await Promise.all([members.stop(), peersFile.stop(), hooks.stop(), audit.settled()])
      await thread.stop([LOCK_CONNECTION])
    }
  }
}

/** Starts a node. Throws the catalogue's start-up errors; nothing is left running then. */
export async function startNode(setup: NodeSetup, as: StartAs): Promise<RunningNode> {
  const { options, log, secret } = setup
  const clock = setup.clock ?? systemClock
  const ops = setup.ops ?? systemFileOps
  requireSoundOptions(options, as)
  const path = resolveDatabase(options.db)
  const stateFolder = `${path}-walcast`
  const found = NodeFile.peek(stateFolder)
  const first = firstRecord(setup, as)
  refuseForeign(path, first.role, found)
  const thread = new SqliteThread()
  let roles: Roles | undefined
  let server: Server | undefined
  let traffic: Traffic | undefined
  let members: Members | undefined
  let peersFile: PeersFile | undefined
  let auditLog: AuditLog | undefined
  let roleHooks: RoleHooks | undefined
  try {
    makeFolder(stateFolder)
    await takeNodeLock(thread, path, stateFolder)
    const nodeFile = await NodeFile.open(stateFolder, ops, first)
    if (found) await nodeFile.update(givenNow(setup, as, found))
    sayRole(setup, as, nodeFile.record)
    const audit = new AuditLog(stateFolder, ops, log)
    auditLog = audit
    const hooks = roleHooksOf(setup, path)
    roleHooks = hooks
    const view = new LateView(nodeFile, setup, clock, audit, path)
    const waits = new Waits(options.maxWaits, (target) => view.reach(target))
    const metrics = new Metrics(setup.processMetrics ?? false)
    const auth = new Authenticator(secret, clock)
    const events = new Events(
      { maxListeners: options.maxEventStreams, keepAliveMs: EVENT_KEEP_ALIVE_MS },
      view,
    )
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
      admission: requests.admission,
      audit: () => audit,
      roles: () => (roles?.isRunning ? roles : undefined),
      epoch: () => nodeFile.record.epoch,
      term: () => nodeFile.record.term,
      checks: () => roles?.engine?.checks,
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
    const known = new Members(nodeFile, log, options.peers)
    members = known
    const replicas = new ReplicaList(clock, readPeers(stateFolder, log))
    replicas.onMet = (node, address) => known.learn(node, address)
    peersFile = new PeersFile(stateFolder, ops, log, replicas)
    roles = new Roles({
      setup,
      clock,
      ops,
      path,
      stateFolder,
      nodeFile,
      members: known,
      replicas,
      peersFile,
      thread,
      metrics,
      traffic: requests,
      view,
      journal: new RoleJournal({ audit, hooks, clock, log, view, metrics, record: () => nodeFile.record }),
      onMoved() {
        waits.onMoved()
        events.onChange()
        setup.onChange?.()
      },
      onFatal,
    })
    await roles.start()
    waits.onMoved()
    metrics.observe(view, waits)
    metrics.observeTraffic(requests, events)
    requests.open()
    return new RunningNode(
      { roles, server, traffic, thread, waits, members, peersFile, audit, hooks },
      view,
      failed,
    )
  } catch (error) {
    await roles?.stop()
    await traffic?.close()
    await server?.close()
    await Promise.all([members?.stop(), peersFile?.stop(), roleHooks?.stop(), auditLog?.settled()])
    await thread.stop([LOCK_CONNECTION])
    throw error
  }
}

/** Throws USAGE or SELF_LEADER. */
function requireSoundOptions({ leader, listen }: NodeOptions, as: StartAs): void {
  if (as === 'replica' && !leader)
    throw new WalcastError('USAGE', { detail: 'a replica needs --leader HOST:PORT' })
  if (leader === undefined) return
  addressOf(leader)
  if (leader === listen) throw new WalcastError('SELF_LEADER')
}

/** Fails fast, before anything is made, when the file cannot be for this role. */
function refuseForeign(path: string, first: NodeRecord['role'], known: NodeRecord | undefined): void {
  const role = known?.role ?? first
  if (role === 'leader') inspectDatabase(path)
  else if (!known && statSync(path, { throwIfNoEntry: false })) throw new WalcastError('NOT_A_COPY', { path })
  else if (!known && statSync(`${path}-wal`, { throwIfNoEntry: false }))
    throw new WalcastError('STRAY_WAL', { path: `${path}-wal` })
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

/** Of a node that is started for the first time. */
function firstRecord({ options }: NodeSetup, as: StartAs): NodeRecord {
  const leads = as === 'leader' || (as === 'node' && options.leader === undefined)
  const { standby } = options
  return {
    format: 1,
    node: options.name ?? newId('node'),
    cluster: leads ? newId('cluster') : '',
    role: leads ? 'leader' : standby ? 'standby' : 'replica',
    epoch: 0,
    term: 0,
    txidCeiling: 0,
    standby,
    leader: options.leader ?? '',
    givenLeader: options.leader ?? '',
    lineage: [],
    stateOf: { epoch: 0, leader: '' },
    members: [],
  }
}

/** What of the options changes the role file. A leader's address that is given anew counts; one that is given again does not undo a change of role. */
function givenNow({ options }: NodeSetup, as: StartAs, known: NodeRecord): Partial<NodeRecord> {
  const { name, leader } = options
  // As a replica a node is what it is started as; otherwise it stays what it was.
  const standby = options.standby || ((as !== 'replica' || known.role === 'leader') && known.standby)
  const isNewLeader = leader !== undefined && leader !== known.givenLeader
  return {
    ...(name ? { node: name } : {}),
    ...(isNewLeader ? { givenLeader: leader, leader: known.role === 'leader' ? '' : leader } : {}),
    standby,
    role: known.role === 'leader' ? 'leader' : standby ? 'standby' : 'replica',
  }
}

function sayRole({ log }: NodeSetup, as: StartAs, { role, leader }: NodeRecord): void {
  const isAsked = as === 'node' || (as === 'leader') === (role === 'leader')
  if (isAsked) return
  const follows = role === 'leader' ? undefined : leader || 'nobody yet'
  log.warn(
    { role, follows, startedAs: as },
    `this node is a ${role} since its role changed: the role file counts`,
  )
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
