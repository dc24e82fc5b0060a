import { ArchivedWaits } from '../backup/archivedWaits.ts'
import type { Archiver } from '../backup/archiver.ts'
import { type BatchFollower, followerOf } from '../backup/batchFollower.ts'
import type { DatedSnapshots } from '../backup/dated/datedSnapshots.ts'
import type { Drills } from '../backup/drill/drills.ts'
import { Instance } from '../cluster/instance.ts'
import { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { PeersFile, readPeers } from '../cluster/peersFile.ts'
import { TrustFile } from '../cluster/trustFile.ts'
import { Database, DEFAULT_DATABASE } from '../database/database.ts'
import type { NodeSetup } from '../database/engine.ts'
import type { WalcastError } from '../errors.ts'
import { Metrics } from '../health/metrics.ts'
import { AuditLog } from '../notify/auditLog.ts'
import { AuditTrail } from '../notify/auditTrail.ts'
import { type Clock, systemClock } from '../platform/clock.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { type Bounds, ownBounds } from '../proxy/openFiles.ts'
import { LeaseValidity } from '../roles/election/leaseValidity.ts'
import { Standstill } from '../roles/election/standstill.ts'
import { RoleInbox } from '../roles/roleInbox.ts'
import { Authenticator } from '../security/auth.ts'
import type { Claims } from '../security/claims.ts'
import { SenderKeys } from '../security/senderKeys.ts'
import { SqliteThread } from '../sqlite/sqliteThread.ts'
import { ArchiveJournal } from './archiveJournal.ts'
import { type ClusterLinks, newClusterLinks } from './clusterTrust.ts'
import { newArchiver } from './nodeBackup.ts'
import { newClaims, newUnprovenReport } from './nodeClaims.ts'
import { newDrills } from './nodeDrills.ts'
import { type NodeFolder, warnOfLinks } from './nodeFolder.ts'
import { newSnapshots } from './nodeSnapshots.ts'
import { type NodeTls, tlsOf } from './nodeTls.ts'
import { makeOwnSecret } from './ownSecret.ts'
import type { NodeParts } from './runningNode.ts'
import { StrangerJournal } from './strangerJournal.ts'

/** What the rest of the node is built on. */
export interface Ground extends ClusterLinks {
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
  /** What holders of a token make the node note. */
  readonly noted: AuditLog
  /** Both, as they are read. */
  readonly trail: AuditTrail
  /** The other nodes of the cluster, as far as this one knows them from before. */
  readonly members: Members
  readonly databases: ReadonlyMap<string, Database>
  readonly peersFile: PeersFile
  /** Writes that wait until the archive has them. */
  readonly archived: ArchivedWaits
  /** Undefined without --backup. */
  readonly archiver: Archiver | undefined
  /** Undefined without --backup, and with --drill off. */
  readonly drills: Drills | undefined
  /** Undefined without --snapshot-every. */
  readonly snapshots: DatedSnapshots | undefined
  /** Undefined without --backup. */
  readonly archiveJournal: ArchiveJournal | undefined
  /** What hears of batches. */
  readonly follower: BatchFollower | undefined
  readonly metrics: Metrics
  readonly strangers: StrangerJournal
  readonly auth: Authenticator
  /** Undefined in an open cluster. */
  readonly tls: NodeTls | undefined
  /** How far numbers of other nodes are believed. */
  readonly claims: Claims
  readonly standstill: Standstill
  /** Of the lease of automatic failover; undefined without. */
  readonly validity: LeaseValidity | undefined
  readonly inbox: RoleInbox
}

/** The parts started so far, so that a failing start can end them. */
export type Started = { -readonly [Part in keyof NodeParts]?: NodeParts[Part] }

/** From here on the database is this node's. */
export async function layGround(
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
  const { onAuditDropped: onDropped } = metrics.notices()
  const audit = new AuditLog(stateFolder, ops, log, { onDropped })
  started.audit = audit
  const noted = new AuditLog(stateFolder, ops, log, { name: 'noted', onDropped })
  started.noted = noted
  const claims = newClaims(nodeFile, () => database.view.position(), metrics, log)
  const trustFile = TrustFile.open(stateFolder, ops, log)
  const members = new Members(nodeFile, log, trustFile, options.peers, claims, (change) =>
    database.engine?.tellMember(change),
  )
  started.members = members
  await makeOwnSecret(setup, nodeFile, trustFile, clock)
  const instance = new Instance(() => clock.nowMs())
  const tls = await tlsOf(setup, trustFile, stateFolder, ops)
  started.tls = tls
  const strangers = new StrangerJournal({ audit, clock, nodeFile, view: () => database.view })
  const onUnproven = newUnprovenReport(metrics, log, strangers)
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
  const validity = options.election === 'static' ? undefined : new LeaseValidity(options.ttlMs)
  started.peersFile = peersFile
  const archived = new ArchivedWaits(options.maxWaits)
  const archiver = await newArchiver({
    ...links,
    archived,
    setup,
    stateFolder,
    nodeFile,
    ops,
    metrics,
  })
  started.archiver = archiver
  const databases = new Map([[database.name, database]])
  const drillGround = { setup, stateFolder, nodeFile, databases, metrics, ops, archiver }
  const drills = newDrills({ ...drillGround, audit, clock })
  started.drills = drills
  const snapshots = newSnapshots({ ...drillGround, audit, clock })
  started.snapshots = snapshots
  const archiveJournal = ArchiveJournal.of({ ...drillGround, audit, clock })
  started.archiveJournal = archiveJournal
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
    noted,
    trail: new AuditTrail(audit, noted),
    members,
    databases,
    peersFile,
    archived,
    archiver,
    drills,
    snapshots,
    archiveJournal,
    follower: followerOf([archiver, snapshots]),
    metrics,
    strangers,
    auth: new Authenticator(links.secrets, clock, () => nodeFile.record.node, {
      senders: new SenderKeys(
        links.trust.keys,
        () => tls?.keys.current.authority !== undefined,
        links.sockets,
      ),
      onRefused: (detail, address, node, key) => {
        strangers.onRefused(detail, address, node)
        if (key === 'SECRET_ENDED') metrics.membership().onEndedSecret()
      },
      takesOld: links.old !== undefined,
    }),
    tls,
    ...links,
    claims,
    standstill,
    validity,
    inbox: new RoleInbox(standstill, validity),
  }
}
