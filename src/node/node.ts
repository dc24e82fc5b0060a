/**
 * Starts one node: its folder and lock, its HTTP sides, and the roles that it has one after
 * another.
 */

import { PositionWaits } from '../api/positionWaits.ts'
import { Instance } from '../cluster/instance.ts'
import { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { PeersFile, readPeers } from '../cluster/peersFile.ts'
import { DelegatingView } from '../database/delegatingView.ts'
import type { NodeSetup } from '../database/engine.ts'
import { lastLeader } from '../database/replicaEngine.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { ReplicaList } from '../feed/replicaList.ts'
import { Metrics } from '../health/metrics.ts'
import { isEverywhere } from '../hostPort.ts'
import { AuditLog } from '../notify/auditLog.ts'
import { addressOf, ownAddress } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { optionProblems } from '../options/optionProblems.ts'
import { type Clock, systemClock } from '../platform/clock.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { type Bounds, nodeConnections, ownBounds } from '../proxy/openFiles.ts'
import { Traffic } from '../proxy/traffic.ts'
import { Standstill } from '../roles/election/standstill.ts'
import { RoleInbox } from '../roles/roleInbox.ts'
import { RoleJournal } from '../roles/roleJournal.ts'
import { Roles } from '../roles/roles.ts'
import { Authenticator } from '../security/auth.ts'
import { Events } from '../server/events.ts'
import { PrivateServer } from '../server/privateServer.ts'
import { linkCount, resolveDatabase } from '../sqlite/databaseFiles.ts'
import { SqliteThread } from '../sqlite/sqliteThread.ts'
import { NodeFolder, type StartAs } from './nodeFolder.ts'
import { roleHooksOf } from './nodeHooks.ts'
import { endAll, type NodeParts, RunningNode } from './runningNode.ts'

const EVENT_KEEP_ALIVE_MS = 15_000

/** What everything else of a node is built on. */
interface Ground {
  readonly setup: NodeSetup
  readonly bounds: Bounds
  readonly clock: Clock
  readonly ops: FileOps
  /** Of the database file. */
  readonly path: string
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly thread: SqliteThread
  /** Which process this node is. */
  readonly instance: Instance
  readonly audit: AuditLog
  readonly view: DelegatingView
  readonly waits: PositionWaits
  readonly metrics: Metrics
  readonly events: Events
  readonly auth: Authenticator
  /** The other nodes of the cluster, as far as this one knows them from before. */
  readonly members: Members
  readonly replicas: ReplicaList
  readonly standstill: Standstill
  readonly inbox: RoleInbox
}

/** What has been started so far, so that it can be ended. */
type Started = { -readonly [Part in keyof NodeParts]?: NodeParts[Part] }

/** Throws the catalogue's start-up errors; nothing is left running then. */
export async function startNode(setup: NodeSetup, as: StartAs): Promise<RunningNode> {
  requireSoundOptions(setup.options, as)
  const path = resolveDatabase(setup.options.db)
  const folder = new NodeFolder(path, setup, as)
  const started: Started = {}
  try {
    const { promise: failed, resolve: onFatal } = newSignal()
    const ground = await layGround(setup, path, folder, started, onFatal)
    const { view, waits, thread, nodeFile, audit, metrics, events, members } = ground
    const hooks = roleHooksOf(setup, path, metrics.notices())
    started.hooks = hooks
    const traffic = newTraffic(ground)
    started.traffic = traffic
    const server = newServer(ground, traffic, started)
    started.server = server
    await server.listen()
    await traffic.listen()
    const peersFile = new PeersFile(ground.stateFolder, ground.ops, setup.log, ground.replicas)
    started.peersFile = peersFile
    const journal = new RoleJournal({ ...ground, log: setup.log, hooks })
    const onMoved = () => {
      waits.onMoved()
      events.onChange()
      setup.onChange?.()
    }
    const roles = new Roles({ ...ground, peersFile, traffic, journal, onMoved, onFatal })
    started.roles = roles
    await roles.start()
    waits.onMoved()
    metrics.observe(view, waits)
    metrics.observeTraffic(traffic, events)
    traffic.open()
    const parts = {
      roles,
      server,
      traffic,
      thread,
      waits,
      nodeFile,
      members,
      peersFile,
      audit,
      hooks,
    }
    return new RunningNode(parts, view, failed)
  } catch (error) {
    await endAll(started).catch((failure) =>
      setup.log.error(
        { error: messageOf(failure) },
        'what was started could not be ended in order',
      ),
    )
    throw error
  }
}

/** From here on the database is this node's. */
async function layGround(
  setup: NodeSetup,
  path: string,
  folder: NodeFolder,
  started: Started,
  onFatal: (error: WalcastError) => void,
): Promise<Ground> {
  const { options, log, clock = systemClock, ops = systemFileOps } = setup
  const { path: stateFolder } = folder
  const thread = new SqliteThread(onFatal)
  started.thread = thread
  const nodeFile = await folder.open(thread, ops)
  const instance = new Instance(() => clock.nowMs())
  if (linkCount(path) > 1)
    log.warn(
      { path },
      'this file has another name (a hard link): a program that opens it by that name corrupts it; remove the other name',
    )
  started.nodeFile = nodeFile
  const metrics = new Metrics(setup.processMetrics ?? false)
  const audit = new AuditLog(stateFolder, ops, log, { onDropped: metrics.notices().onAuditDropped })
  started.audit = audit
  const view = new DelegatingView(nodeFile, setup, clock, audit, path, {
    application: () => started.traffic?.watch.status(),
    failedReads: () => started.traffic?.failedReads.report(),
  })
  const members = new Members(nodeFile, log, options.peers, (change) =>
    view.engine?.tellMember(change),
  )
  started.members = members
  const replicas = new ReplicaList(
    clock,
    nodeFile.record.node,
    readPeers(stateFolder, log),
    (node, address) => members.learn(node, address),
  )
  const standstill = new Standstill(options.frozenMs, clock)
  const waits = new PositionWaits(options.maxWaits, (target) => view.reach(target))
  const auth = new Authenticator(setup.secret, clock)
  const listeners = { maxListeners: options.maxEventStreams, keepAliveMs: EVENT_KEEP_ALIVE_MS }
  const events = new Events(listeners, view)
  return {
    setup,
    bounds: ownBounds(options, log),
    clock,
    ops,
    path,
    stateFolder,
    nodeFile,
    thread,
    instance,
    audit,
    view,
    waits,
    metrics,
    events,
    auth,
    members,
    replicas,
    standstill,
    inbox: new RoleInbox(standstill),
  }
}

function newTraffic({
  setup,
  bounds,
  clock,
  nodeFile,
  auth,
  view,
  waits,
  metrics,
  members,
  replicas,
  inbox,
}: Ground): Traffic {
  const { options, secret, log } = setup
  return new Traffic({
    options,
    bounds,
    secret,
    clock,
    log,
    nodeFile,
    auth,
    view,
    waits,
    leadership: inbox,
    lenders: () => lendersOf(replicas, members),
    metrics: metrics.traffic(),
    onCut: metrics.onCut('proxy'),
  })
}

/** Answers before there are roles: that the node starts. */
function newServer(
  { setup, bounds, clock, nodeFile, instance, audit, auth, metrics, waits, view, events }: Ground,
  traffic: Traffic,
  started: Started,
): PrivateServer {
  const { options, log } = setup
  return new PrivateServer({
    ...addressOf(options.listen),
    log,
    auth,
    metrics,
    waits,
    view,
    events,
    intake: traffic.intake,
    admission: traffic.admission,
    watch: traffic.watch,
    unwell: () => traffic.application.unwellForLeading,
    onRoleAsked: (remoteAddress) => traffic.onRoleAsked(remoteAddress),
    holdMs: options.holdMs,
    audit: () => audit,
    roles: () => (started.roles?.hasStarted ? started.roles.requests : undefined),
    epoch: () => nodeFile.record.epoch,
    term: () => nodeFile.record.term,
    lastLeader: () => lastLeader(nodeFile.record),
    instance,
    checks: () => started.roles?.checks,
    maxWaitMs: options.maxWaitMs,
    requestTimeoutMs: options.requestTimeoutMs,
    maxHeaderBytes: options.maxHeaderBytes,
    headTimeoutMs: options.headTimeoutMs,
    connections: nodeConnections(options, bounds),
    onCut: metrics.onCut('listen'),
    maxUpgrades: bounds.maxUpgrades,
    upstream: () => traffic.upstream,
    publicUrl: () => traffic.publicUrl,
    nowMs: () => clock.nowMs(),
  })
}

/**
 * HOST:PORT of replicas that may answer a read in place of this leader: standbys refuse by
 * themselves.
 */
function lendersOf(replicas: ReplicaList, members: Members): string[] {
  const there = replicas
    .list()
    .filter(({ state, via }) => state === 'streaming' && via === undefined)
  return there.flatMap(({ node, address }) => members.addressOf(node) ?? (address || []))
}

/** Throws USAGE, naming every problem at once, or SELF_LEADER. */
function requireSoundOptions(options: NodeOptions, as: StartAs): void {
  const { leader, listen } = options
  const problems = optionProblems(options)
  if (as === 'replica' && !leader) problems.push('a replica needs --leader HOST:PORT')
  const own = ownAddress(options)
  if (isEverywhere(addressOf(own)))
    problems.push(
      `other nodes cannot reach this one at ${own}: give --advertise HOST:PORT, an address of this machine`,
    )
  if (problems.length > 0) throw new WalcastError('USAGE', { detail: problems.join('; ') })
  if (leader === undefined) return
  addressOf(leader)
  if (leader === listen) throw new WalcastError('SELF_LEADER')
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
