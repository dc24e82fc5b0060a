/**
 * Starts one node: its folder and lock, its databases, its HTTP sides, and the roles that it has
 * one after another.
 */

import { onlyDatabase } from '../api/databases.ts'
import { Instance } from '../cluster/instance.ts'
import { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { PeersFile, readPeers } from '../cluster/peersFile.ts'
import { TrustFile } from '../cluster/trustFile.ts'
import { Database, DEFAULT_DATABASE } from '../database/database.ts'
import type { NodeSetup } from '../database/engine.ts'
import { messageOf, type WalcastError } from '../errors.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import { Metrics } from '../health/metrics.ts'
import { NodeReport } from '../health/nodeReport.ts'
import { AuditLog } from '../notify/auditLog.ts'
import { addressOf, ownAddress } from '../options/address.ts'
import { type Clock, systemClock } from '../platform/clock.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import type { Lending } from '../proxy/lender.ts'
import { type Bounds, nodeConnections, ownBounds } from '../proxy/openFiles.ts'
import { Traffic } from '../proxy/traffic.ts'
import { Deferred } from '../roles/deferred.ts'
import { Standstill } from '../roles/election/standstill.ts'
import { RoleInbox } from '../roles/roleInbox.ts'
import { RoleJournal } from '../roles/roleJournal.ts'
import { Roles } from '../roles/roles.ts'
import { Authenticator } from '../security/auth.ts'
import type { Claims } from '../security/claims.ts'
import { SenderKeys } from '../security/senderKeys.ts'
import { Events } from '../server/events.ts'
import { PrivateServer } from '../server/privateServer.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { SqliteThread } from '../sqlite/sqliteThread.ts'
import { ClusterTokens } from './clusterTokens.ts'
import { type ClusterLinks, newClusterLinks } from './clusterTrust.ts'
import { newHealthServer } from './healthListener.ts'
import { newClaims, newUnprovenReport } from './nodeClaims.ts'
import { NodeFolder, type StartAs, warnOfLinks } from './nodeFolder.ts'
import { roleHooksOf } from './nodeHooks.ts'
import { type NodeTls, tlsOf } from './nodeTls.ts'
import { endAll, type NodeParts, RunningNode } from './runningNode.ts'
import { requireSoundOptions } from './soundOptions.ts'

const EVENT_KEEP_ALIVE_MS = 15_000

/** What the rest of the node is built on. */
interface Ground extends ClusterLinks {
  readonly setup: NodeSetup
  readonly bounds: Bounds
  readonly clock: Clock
  readonly ops: FileOps
  readonly nodeFile: NodeFile
  /** The node's folder. */
  readonly stateFolder: string
  readonly thread: SqliteThread
  /** Which process this node is. */
  readonly instance: Instance
  readonly audit: AuditLog
  /** The other nodes of the cluster, as far as this one knows them from before. */
  readonly members: Members
  readonly databases: ReadonlyMap<string, Database>
  readonly peersFile: PeersFile
  readonly metrics: Metrics
  readonly auth: Authenticator
  /** Undefined in an open cluster. */
  readonly tls: NodeTls | undefined
  /** How far numbers of other nodes are believed. */
  readonly claims: Claims
  readonly standstill: Standstill
  readonly inbox: RoleInbox
}

/** The parts started so far, so that a failing start can end them. */
type Started = { -readonly [Part in keyof NodeParts]?: NodeParts[Part] }

/** Throws the catalogue's start-up errors, and then leaves nothing running. */
export async function startNode(setup: NodeSetup, as: StartAs): Promise<RunningNode> {
  requireSoundOptions(setup.options, as)
  const path = resolveDatabase(setup.options.db)
  const folder = new NodeFolder(path, setup, as)
  const started: Started = {}
  try {
    return await startIn(folder, path, setup, started)
  } catch (error) {
    await endAll(started).catch((failure) =>
      setup.log.error(
        { error: messageOf(failure) },
        'could not end everything that this node had started',
      ),
    )
    throw error
  }
}

async function startIn(
  folder: NodeFolder,
  path: string,
  setup: NodeSetup,
  started: Started,
): Promise<RunningNode> {
  const { promise: failed, resolve: onFatal } = new Deferred<WalcastError>()
  const ground = await layGround(setup, path, folder, started, onFatal)
  const { nodeFile, audit, metrics, databases, instance } = ground
  const { version, log, options } = setup
  const database = onlyDatabase(databases)
  const { view, waits } = database
  const scheme = ground.trust.takesPlainText ? 'http' : 'https'
  const hooks = roleHooksOf(setup, ground.secrets, path, metrics.notices(), scheme)
  started.hooks = hooks
  const traffic = newTraffic(ground)
  started.traffic = traffic
  const report = new NodeReport({
    databases,
    nodeFile,
    audit,
    version,
    instance,
    application: () => traffic.watch.status(),
    failedReads: () => traffic.failedReads.report(),
  })
  const events = new Events(
    { maxListeners: options.maxEventStreams, keepAliveMs: EVENT_KEEP_ALIVE_MS },
    view,
  )
  const server = newServer(ground, traffic, report, events, () =>
    started.roles?.hasStarted ? started.roles : undefined,
  )
  started.server = server
  await server.listen()
  const health = newHealthServer(ground, traffic, server)
  started.health = health
  await health?.listen()
  await traffic.listen()
  const journal = new RoleJournal({ ...ground, view, log, hooks })
  const onMoved = () => {
    waits.onMoved()
    events.onChange()
    setup.onChange?.()
  }
  const roles = new Roles({ ...ground, traffic, journal, onMoved, onFatal })
  started.roles = roles
  await roles.start()
  waits.onMoved()
  metrics.observe(database, () => report.status().causes)
  metrics.observeTraffic(traffic, events)
  traffic.open()
  const parts = { ...ground, roles, server, health, traffic, hooks }
  return new RunningNode(parts, databases, report, failed)
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
  started.nodeFile = nodeFile
  warnOfLinks(path, setup)
  const metrics = new Metrics(setup.processMetrics ?? false)
  const audit = new AuditLog(stateFolder, ops, log, { onDropped: metrics.notices().onAuditDropped })
  started.audit = audit
  const claims = newClaims(nodeFile, () => database.view.position(), metrics, log)
  const trustFile = TrustFile.open(stateFolder, ops, log)
  const members = new Members(nodeFile, log, trustFile, options.peers, claims, (change) =>
    database.engine?.tellMember(change),
  )
  started.members = members
  const instance = new Instance(() => clock.nowMs())
  const tls = await tlsOf(setup, trustFile, stateFolder, ops)
  started.tls = tls
  const onUnproven = newUnprovenReport(metrics, log)
  const links = newClusterLinks({
    setup,
    clock,
    nodeFile,
    members,
    instance,
    file: trustFile,
    tls,
    onUnproven,
  })
  started.trust = links.trust
  const database: Database = new Database({
    name: DEFAULT_DATABASE,
    path,
    stateFolder,
    nodeFile,
    clock,
    maxWaits: options.maxWaits,
    peers: readPeers(stateFolder, log),
    onMet: (node, address) => members.learn(node, address),
  })
  const peersFile = new PeersFile(stateFolder, ops, log, database.replicas)
  const standstill = new Standstill(options.frozenMs, clock)
  started.peersFile = peersFile
  return {
    setup,
    bounds: ownBounds(options, log),
    clock,
    ops,
    nodeFile,
    stateFolder,
    thread,
    instance,
    audit,
    members,
    databases: new Map([[database.name, database]]),
    peersFile,
    metrics,
    auth: new Authenticator(
      links.secrets,
      clock,
      () => nodeFile.record.node,
      new SenderKeys(links.trust.keys, () => tls?.keys.current.authority !== undefined),
      links.old !== undefined,
    ),
    tls,
    ...links,
    claims,
    standstill,
    inbox: new RoleInbox(standstill),
  }
}

function newTraffic({ setup, metrics, inbox, ...ground }: Ground): Traffic {
  const { options, log } = setup
  const { replicas } = onlyDatabase(ground.databases)
  return new Traffic({
    ...ground,
    options,
    log,
    leadership: inbox,
    lenders: () => lendersOf(replicas, ground.members),
    metrics: metrics.traffic(),
    onCut: metrics.onCut('proxy'),
  })
}

/** Listens before the node has a role: requests learn that it starts. */
function newServer(
  ground: Ground,
  traffic: Traffic,
  report: NodeReport,
  events: Events,
  roles: () => Roles | undefined,
): PrivateServer {
  const { setup, bounds, clock, nodeFile, metrics, tls } = ground
  const { options, log } = setup
  return new PrivateServer({
    ...ground,
    ...addressOf(options.listen),
    limits: {
      ...options,
      connections: nodeConnections(options, bounds),
      maxUpgrades: bounds.maxUpgrades,
    },
    log,
    report,
    events,
    traffic,
    record: () => nodeFile.record,
    tls: tls && { keys: tls.keys, takesPlainText: tls.transport === 'plain' },
    onHandshakeFailed: metrics.onHandshakeFailed(),
    advertised: ownAddress(options),
    tokens: new ClusterTokens(ground),
    roles: () => roles()?.requests,
    onCut: (side) => metrics.onCut(side),
    nowMs: () => clock.nowMs(),
  })
}

/**
 * HOST:PORT of replicas that may answer a read in place of this leader: standbys refuse by
 * themselves.
 */
function lendersOf(replicas: ReplicaList, members: Members): Lending[] {
  const there = replicas
    .list()
    .filter(({ state, via }) => state === 'streaming' && via === undefined)
  return there.flatMap(({ node, address: from }) => {
    const address = members.addressOf(node) ?? from
    return address ? { node, address } : []
  })
}
