import type { WebSocket } from 'ws'
import type { Position } from '../../proto/position.ts'
import type { Clock } from '../clock.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { WalcastError } from '../errors.ts'
import type { AuditEntry } from '../http/auditRoutes.ts'
import {
  type LagReport,
  NO_QUEUES,
  type NodeRole,
  type NodeStatus,
  type NodeView,
  type QueueSizes,
} from '../http/view.ts'
import type { Reach, WaitTarget } from '../http/waits.ts'
import type { AckOutcome, AckWanted } from '../leader/acknowledgements.ts'
import { LagTracker } from '../replica/lag.ts'
import type { Engine, NodeSetup } from './engine.ts'

/** Of the audit log, in the status. */
const AUDIT_ENTRIES = 10

/** The view of a node whose engine may still be opening its database: alive, and not ready. */
export class LateView implements NodeView {
  readonly #nodeFile: NodeFile
  readonly #setup: NodeSetup
  readonly #clock: Clock
  readonly #recent: (limit: number) => readonly AuditEntry[]
  engine: Engine | undefined

  constructor(
    nodeFile: NodeFile,
    setup: NodeSetup,
    clock: Clock,
    recent: (limit: number) => readonly AuditEntry[],
  ) {
    this.#recent = recent
    this.#nodeFile = nodeFile
    this.#setup = setup
    this.#clock = clock
  }

  role(): NodeRole {
    return this.engine?.view.role() ?? this.#nodeFile.record.role
  }

  leaderAddress(): string {
    return this.engine?.view.leaderAddress() ?? this.#nodeFile.record.leader
  }

  position(): Position {
    return this.engine?.view.position() ?? { epoch: 0, txid: 0 }
  }

  canRead(): boolean {
    return this.engine?.view.canRead() ?? false
  }

  async settle(): Promise<Position> {
    if (!this.engine) throw new WalcastError('STARTING')
    return this.engine.view.settle()
  }

  async acknowledge(position: Position, wanted: AckWanted, timeoutMs: number): Promise<AckOutcome> {
    if (!this.engine) throw new WalcastError('STARTING')
    return this.engine.view.acknowledge(position, wanted, timeoutMs)
  }

  staleMs(): number {
    return this.engine?.view.staleMs() ?? Number.POSITIVE_INFINITY
  }

  freshen(): void {
    this.engine?.view.freshen()
  }

  /** What the engine says, and what the node knows whatever its role. */
  status(): NodeStatus {
    const status = this.engine?.view.status() ?? this.#startingStatus()
    const { role, promoted, demoted, members } = this.#nodeFile.record
    const since = role === 'leader' ? promoted : demoted
    return {
      ...status,
      members,
      ...(since ? { roleSince: since.at } : {}),
      audit: this.#recent(AUDIT_ENTRIES),
    }
  }

  lag(): LagReport {
    return (
      this.engine?.view.lag() ?? {
        role: this.#nodeFile.record.role,
        causes: [],
        ...new LagTracker(this.#clock).report(),
      }
    )
  }

  queues(): QueueSizes {
    return this.engine?.view.queues() ?? NO_QUEUES
  }

  notReady(): readonly string[] {
    return this.engine?.view.notReady() ?? ['starting']
  }

  reach(target: WaitTarget): Reach {
    return this.engine?.view.reach(target) ?? 'ahead'
  }

  refuseReplicas(): WalcastError | undefined {
    return this.engine ? this.engine.view.refuseReplicas() : new WalcastError('STARTING')
  }

  async forget(node: string): Promise<void> {
    if (!this.engine) throw new WalcastError('STARTING')
    return this.engine.view.forget(node)
  }

  accept(socket: WebSocket, remoteAddress: string): void {
    if (this.engine) this.engine.view.accept(socket, remoteAddress)
    else socket.terminate()
  }

  #startingStatus(): NodeStatus {
    const { node, cluster, role, epoch } = this.#nodeFile.record
    return {
      node,
      cluster,
      db: this.#setup.options.db,
      role,
      state: 'starting',
      epoch,
      txid: 0,
      checksum: '',
      pageSize: 0,
      pages: 0,
      walBytes: 0,
      leader: this.#setup.options.leader ?? '',
      replicas: [],
      lag: { lagMs: 0, txidLag: 0, connected: false },
      causes: [],
      version: this.#setup.version,
      uptimeSeconds: 0,
    }
  }
}
