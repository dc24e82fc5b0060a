/** A node from the end of its start to its stop. */

import { type Databases, onlyDatabase } from '../api/databases.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { LagReport, NodeStatus } from '../api/nodeStatus.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import type { RoleActions } from '../api/roleActions.ts'
import type { Archiver } from '../backup/archiver.ts'
import type { DatedSnapshots } from '../backup/dated/datedSnapshots.ts'
import type { Drills } from '../backup/drill/drills.ts'
import type { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { PeersFile } from '../cluster/peersFile.ts'
import type { NodeSetup } from '../database/engine.ts'
import type { WalcastError } from '../errors.ts'
import type { LagHistory } from '../health/lagRing/lagHistory.ts'
import type { NodeReport } from '../health/nodeReport.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { RoleHooks } from '../notify/roleHooks.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { inTime } from '../platform/inTime.ts'
import { monotonicMs } from '../platform/time.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { Roles } from '../roles/roles.ts'
import type { HealthServer } from '../server/healthServer.ts'
import type { PrivateServer } from '../server/privateServer.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import type { ArchiveJournal } from './archiveJournal.ts'
import type { ClusterTrust } from './clusterTrust.ts'
import { finishLeaving } from './departure.ts'
import { LOCK_CONNECTION } from './nodeFolder.ts'
import type { NodePast } from './nodePast.ts'
import type { NodeTls } from './nodeTls.ts'

/** The parts that a stop ends. */
export interface NodeParts {
  readonly roles: Roles
  readonly server: PrivateServer
  /** Undefined without --health. */
  readonly health: HealthServer | undefined
  readonly traffic: Traffic
  readonly lagHistory: LagHistory
  readonly thread: SqliteThread
  /** Undefined without --backup. */
  readonly archiver: Archiver | undefined
  /** Undefined without --backup, and with --drill off. */
  readonly drills: Drills | undefined
  readonly past: NodePast
  /** Undefined without --snapshot-every. */
  readonly snapshots: DatedSnapshots | undefined
  /** Undefined without --backup. */
  readonly archiveJournal: ArchiveJournal | undefined
  readonly nodeFile: NodeFile
  readonly members: Members
  readonly trust: ClusterTrust
  readonly tls: NodeTls | undefined
  readonly peersFile: PeersFile
  readonly audit: AuditLog
  readonly noted: AuditLog
  readonly hooks: RoleHooks
  readonly ops: FileOps
  readonly stateFolder: string
  readonly setup: Pick<NodeSetup, 'log'>
}

/**
 * How long the stop waits for processes that read archives, all of which it has killed. The kernel
 * ends none that waits for a disk which does not answer, and the role must not wait for that.
 */
const CHILD_END_MS = 10_000

export class RunningNode {
  readonly #parts: NodeParts
  /** One of them today. */
  readonly databases: Databases
  readonly #report: NodeReport
  /** Resolves with the reason when the node cannot go on. The caller then stops it. */
  readonly failed: Promise<WalcastError>
  #stopping: Promise<void> | undefined

  constructor(
    parts: NodeParts,
    databases: Databases,
    report: NodeReport,
    failed: Promise<WalcastError>,
  ) {
    this.#parts = parts
    this.databases = databases
    this.#report = report
    this.failed = failed
  }

  /** The view of the only database. */
  get view(): DatabaseView {
    return onlyDatabase(this.databases).view
  }

  /** The requests that wait for a position of the only database. */
  get waits(): PositionWaits {
    return onlyDatabase(this.databases).waits
  }

  status(): NodeStatus {
    return this.#report.status()
  }

  lag(): LagReport {
    return this.#report.lag()
  }

  get traffic(): Traffic {
    return this.#parts.traffic
  }

  get roles(): RoleActions {
    return this.#parts.roles.requests
  }

  /** Whether it takes plain text at --listen. */
  get takesPlainText(): boolean {
    return this.#parts.tls?.transport !== 'tls'
  }

  /** Reads the operator's certificate again; nothing where the node made its own. */
  reloadKeys(): void {
    this.#parts.tls?.watch?.look()
  }

  /** First readiness fails, then requests under way end, then everything closes. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const { roles, server, traffic } = this.#parts
    server.announceStop()
    try {
      roles.announceStop()
      await traffic.drain()
    } finally {
      await endAll(this.#parts)
    }
  }
}

/**
 * Ends the parts of a node, which may have started in part. Ends each whatever becomes of the
 * others, and throws the first failure. `childMs`: for killed processes, in all.
 */
export async function endAll(parts: Partial<NodeParts>, childMs = CHILD_END_MS): Promise<void> {
  const {
    roles,
    archiver,
    archiveJournal,
    lagHistory,
    traffic,
    server,
    health,
    nodeFile,
    members,
    trust,
    tls,
    peersFile,
    hooks,
    audit,
    noted,
    thread,
    ops,
    stateFolder,
  } = parts
  const failures: unknown[] = []
  for (const end of [
    () => archiveJournal?.stop(),
    // Before there is no role any more to measure.
    () => lagHistory?.stop(),
    () => endChildren(parts, childMs),
    () => roles?.stop(),
    () => archiver?.stop(),
    () => traffic?.close(),
    () => Promise.all([server?.close(), health?.close()]),
    () => trust?.stop(),
    () => tls?.watch?.stop(),
    () => Promise.all([members?.stop(), peersFile?.stop(), hooks?.stop()]),
    () => Promise.all([audit?.settled(), noted?.settled()]),
    // Before the lock goes: the next node of this folder opens the role file for itself.
    () => nodeFile?.stop(),
    () => ops && stateFolder && void finishLeaving(stateFolder, ops),
    () => thread?.stop([LOCK_CONNECTION]),
  ])
    try {
      await end()
    } catch (error) {
      failures.push(error)
    }
  if (failures.length > 0) throw failures[0]
}

async function endChildren(
  { drills, snapshots, past, setup }: Partial<NodeParts>,
  childMs: number,
): Promise<void> {
  const ends = Promise.all([drills?.stop(), snapshots?.stop(), past?.stop()])
  if (await inTime(ends, monotonicMs() + childMs)) return
  setup?.log.warn('a process that reads an archive was killed and is still there; not waiting')
}
