/**
 * What a node answers of itself: the status and the lag of each database by name, and what concerns
 * the whole node. The fields of the only database stand at the top as well.
 */

import type { ApplicationStatus } from '../api/applicationStatus.ts'
import type { AuditSource } from '../api/audit.ts'
import type { BackupReport } from '../api/backupStatus.ts'
import type { DatabaseStatus } from '../api/databaseStatus.ts'
import { type Databases, onlyDatabase, type ServedDatabase } from '../api/databases.ts'
import type { ElectionReport } from '../api/electionReport.ts'
import type { FailedReadsReport } from '../api/failedReads.ts'
import type { LagReport, NodeStatus } from '../api/nodeStatus.ts'
import type { PauseInfo } from '../api/rolePause.ts'
import type { SnapshotReport } from '../api/snapshotStatus.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { applicationCauses } from './applicationCauses.ts'
import { archiveCauses } from './archiveCauses.ts'
import { electionCauses } from './electionCauses.ts'
import { snapshotCauses } from './snapshotCauses.ts'

/** Entries of the audit log in a status. */
const AUDIT_ENTRIES = 10

export interface NodeReportParts {
  readonly databases: Databases
  readonly nodeFile: NodeFile
  readonly audit: AuditSource
  /** The node's --ack. */
  readonly ack: string
  readonly version: string
  /** For how long this process has been the node, ms. */
  readonly instance: { readonly upMs: number }
  readonly pause: { readonly now: PauseInfo | undefined }
  /** Undefined without an application. */
  application(): ApplicationStatus | undefined
  /** Of a database by its name; undefined without --backup. */
  backup(db: string): BackupReport | undefined
  /** Of a database by its name; undefined without --snapshot-every. */
  snapshots?(db: string): SnapshotReport | undefined
  /** Undefined with --election static. */
  election?(): ElectionReport | undefined
  /** Undefined before the first read that failed. */
  failedReads(): FailedReadsReport | undefined
}

export class NodeReport {
  readonly #parts: NodeReportParts

  constructor(parts: NodeReportParts) {
    this.#parts = parts
  }

  status(): NodeStatus {
    const { nodeFile, audit, ack, version, instance, pause } = this.#parts
    const { node, cluster, members } = nodeFile.record
    const databases = this.#ask((database) => this.#statusOf(database))
    const only = onlyDatabase(databases)
    const application = this.#parts.application()
    const failedReads = this.#parts.failedReads()
    const election = this.#parts.election?.()
    const paused = pause.now
    return {
      node,
      cluster,
      ...only,
      causes: [...only.causes, ...applicationCauses(application), ...electionCauses(election)],
      databases: Object.fromEntries(databases),
      ...(application ? { application } : {}),
      ...(failedReads ? { failedReads } : {}),
      ...(election ? { election } : {}),
      ...(paused ? { paused } : {}),
      members,
      audit: audit.recent(AUDIT_ENTRIES),
      ack,
      version,
      uptimeSeconds: Math.round(instance.upMs / 1000),
    }
  }

  #statusOf({ name, view }: ServedDatabase): DatabaseStatus {
    const backup = this.#parts.backup(name)
    const snapshots = this.#parts.snapshots?.(name)
    const status = view.status()
    return {
      ...status,
      causes: [...status.causes, ...snapshotCauses(snapshots), ...archiveCauses(backup)],
      ...(backup ? { backup } : {}),
      ...(snapshots ? { snapshots } : {}),
    }
  }

  lag(): LagReport {
    const databases = this.#ask(({ view }) => view.lag())
    return { ...onlyDatabase(databases), databases: Object.fromEntries(databases) }
  }

  /** The answers by name. */
  #ask<T>(ask: (database: ServedDatabase) => T): ReadonlyMap<string, T> {
    const { databases } = this.#parts
    return new Map([...databases].map(([name, database]) => [name, ask(database)]))
  }
}
