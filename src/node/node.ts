/**
 * Starts one node: its folder and lock, its databases, its HTTP sides, and the roles that it has
 * one after another.
 */

import { onlyDatabase } from '../api/databases.ts'
import type { Members } from '../cluster/members.ts'
import type { NodeSetup } from '../database/engine.ts'
import { messageOf, type WalcastError } from '../errors.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import { archiveEvents } from '../health/archiveEvents.ts'
import type { LagHistory } from '../health/lagRing/lagHistory.ts'
import { NodeReport } from '../health/nodeReport.ts'
import { addressOf, ownAddress } from '../options/address.ts'
import type { Lending } from '../proxy/lender.ts'
import { nodeConnections } from '../proxy/openFiles.ts'
import { Traffic } from '../proxy/traffic.ts'
import { Deferred } from '../roles/deferred.ts'
import { leaseServiceOf } from '../roles/election/openLeaseService.ts'
import { RoleJournal } from '../roles/roleJournal.ts'
import { Roles } from '../roles/roles.ts'
import { ConsoleEvents } from '../server/consoleEvents.ts'
import { Events } from '../server/events.ts'
import { PrivateServer } from '../server/privateServer.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { auditDesk } from './auditedChange.ts'

import { ClusterPairing } from './clusterPairing.ts'
import { ClusterPause } from './clusterPause.ts'
import { ClusterTokens } from './clusterTokens.ts'
import { consoleParts } from './consoleParts.ts'
import { newHealthServer } from './healthListener.ts'
import { Membership } from './membership.ts'
import { archiveDesk, archivistDesk, backupReport, tellArchiveRead } from './nodeBackup.ts'
import { NodeBackupNow } from './nodeBackupNow.ts'
import { NodeBundles } from './nodeBundles.ts'
import { newHandshakeReport } from './nodeClaims.ts'
import type { NodeFolder, StartAs } from './nodeFolder.ts'
import { type Ground, layGround, type Started } from './nodeGround.ts'
import { roleHooksOf } from './nodeHooks.ts'
import { newLagHistory } from './nodeLagHistory.ts'
import { newClusterOverview } from './nodeOverview.ts'
import { NodePast } from './nodePast.ts'
import { OptionsInForce } from './optionsInForce.ts'
import { endAll, RunningNode } from './runningNode.ts'
import { startableFolder } from './startCheck.ts'

const EVENT_KEEP_ALIVE_MS = 15_000

/** Throws the catalogue's start-up errors, and then leaves nothing running. */
export async function startNode(setup: NodeSetup, as: StartAs): Promise<RunningNode> {
  const folder = startableFolder(setup, as)
  const path = resolveDatabase(setup.options.db)
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
  const { nodeFile, trail, metrics, databases, instance } = ground
  const { version, log, options } = setup
  const database = onlyDatabase(databases)
  const { view, waits } = database
  const scheme = ground.trust.takesPlainText ? 'http' : 'https'
  const hooks = roleHooksOf(setup, ground.secrets, path, metrics.notices(), scheme)
  started.hooks = hooks
  const traffic = newTraffic(ground)
  started.traffic = traffic
  const pause = new ClusterPause(ground)
  const report = new NodeReport({
    pause,
    databases,
    nodeFile,
    audit: trail,
    ack: options.ack,
    version,
    instance,
    application: () => traffic.watch.status(),
    backup: backupReport(ground),
    snapshots: () => ground.snapshots?.report(),
    failedReads: () => traffic.failedReads.report(),
  })
  const lagHistory = newLagHistory(ground, report, traffic)
  started.lagHistory = lagHistory
  const events = new Events(
    { maxListeners: options.maxEventStreams, keepAliveMs: EVENT_KEEP_ALIVE_MS },
    view,
    () => archiveEvents(report.status()),
  )
  const membership = new Membership({ ...ground, path, replicas: database.replicas, onFatal })
  const noted = { ...ground, audit: ground.noted }
  const onArchiveBusy = metrics.archiveBusy()
  const past = new NodePast({ ...noted, onBusy: onArchiveBusy })
  started.past = past
  const server = newServer(
    { ...ground, membership, pause, past, onArchiveBusy, lagHistory },
    traffic,
    report,
    events,
    () => (started.roles?.hasStarted ? started.roles : undefined),
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
  const openLease = leaseServiceOf(options, process.env)
  const roles = new Roles({ ...ground, openLease, pause, traffic, journal, onMoved, onFatal })
  started.roles = roles
  await roles.start()
  waits.onMoved()
  metrics.observe(database, () => report.status().causes)
  metrics.observeTraffic(traffic, events)
  traffic.open()
  lagHistory.start()
  const parts = { ...ground, roles, server, health, traffic, lagHistory, hooks, past }
  return new RunningNode(parts, databases, report, failed)
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

interface ServedParts {
  readonly membership: Membership
  readonly pause: ClusterPause
  readonly past: NodePast
  readonly lagHistory: LagHistory
  onArchiveBusy(): void
}

/** Listens before the node has a role: requests learn that it starts. */
function newServer(
  ground: Ground & ServedParts,
  traffic: Traffic,
  report: NodeReport,
  events: Events,
  roles: () => Roles | undefined,
): PrivateServer {
  const { setup, bounds, clock, nodeFile, metrics, strangers, tls } = ground
  const { options, log } = setup
  const archivist = archivistDesk(ground)
  const cluster = newClusterOverview(ground, report)
  const shown = consoleParts({ ...ground, audit: ground.trail, report, cluster, past: ground.past })
  const noted = { ...ground, audit: ground.noted }
  return new PrivateServer({
    ...ground,
    audit: auditDesk(noted, ground.trail),
    ...addressOf(options.listen),
    limits: {
      ...options,
      connections: nodeConnections(options, bounds),
      maxUpgrades: bounds.maxUpgrades,
    },
    log,
    report,
    cluster,
    events,
    consoleEvents: new ConsoleEvents(events.streams, shown),
    traffic,
    record: () => nodeFile.record,
    tls: tls && { keys: tls.keys, takesPlainText: tls.transport === 'plain' },
    onHandshakeFailed: newHandshakeReport(metrics, strangers),
    advertised: ownAddress(options),
    archiving: { archivist, backup: new NodeBackupNow({ ...noted, archivist }) },
    archive: archiveDesk(ground, noted),
    bundles: new NodeBundles(ground, noted),
    onArchiveRead: (reader, place) => tellArchiveRead(ground, reader, place),
    tokens: new ClusterTokens(ground),
    pairing: new ClusterPairing(ground),
    inForce: new OptionsInForce({ ...ground, traffic }),
    roles: () => roles()?.requests,
    onCut: (side) => metrics.onCut(side),
    onEndedSecret: () => metrics.membership().onEndedSecret(),
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
