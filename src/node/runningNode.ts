/** A node that has been started, until it stops. */

import type { NodeView } from '../api/nodeView.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import type { RoleActions } from '../api/roleActions.ts'
import type { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { PeersFile } from '../cluster/peersFile.ts'
import type { WalcastError } from '../errors.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { RoleHooks } from '../notify/roleHooks.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { Roles } from '../roles/roles.ts'
import type { PrivateServer } from '../server/privateServer.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import { LOCK_CONNECTION } from './nodeFolder.ts'

/** What is to be ended. */
export interface NodeParts {
  readonly roles: Roles
  readonly server: PrivateServer
  readonly traffic: Traffic
  readonly thread: SqliteThread
  readonly waits: PositionWaits
  readonly nodeFile: NodeFile
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

  get waits(): PositionWaits {
    return this.#parts.waits
  }

  get traffic(): Traffic {
    return this.#parts.traffic
  }

  get roles(): RoleActions {
    return this.#parts.roles.requests
  }

  /** Readiness fails first, then requests under way are answered, then everything is closed. */
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
 * Also of a node that was started in part. Each part is ended whatever becomes of the others;
 * throws the first failure.
 */
export async function endAll({
  roles,
  traffic,
  server,
  nodeFile,
  members,
  peersFile,
  hooks,
  audit,
  thread,
}: Partial<NodeParts>): Promise<void> {
  const failures: unknown[] = []
  for (const end of [
    () => roles?.stop(),
    () => traffic?.close(),
    () => server?.close(),
    () => Promise.all([members?.stop(), peersFile?.stop(), hooks?.stop(), audit?.settled()]),
    // Before the lock goes: the next node of this folder has its own record.
    () => nodeFile?.stop(),
    () => thread?.stop([LOCK_CONNECTION]),
  ])
    try {
      await end()
    } catch (error) {
      failures.push(error)
    }
  if (failures.length > 0) throw failures[0]
}
