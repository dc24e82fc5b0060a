import type { WebSocket } from 'ws'
import type { HistoryPoint } from '../../proto/lineage.ts'
import { formatPosition, type Position } from '../../proto/position.ts'
import type { Clock } from '../clock.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { WalcastError } from '../errors.ts'
import type { AuditSource } from '../http/auditRoutes.ts'
import type { FailedReadsReport } from '../http/failedReads.ts'
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
import type { Engine, EngineStatus, NodeSetup } from './engine.ts'

/** Of the audit log, in the status. */
const AUDIT_ENTRIES = 10

/** Of a node whose engine is opening its database. */
const STARTING: Omit<EngineStatus, 'epoch' | 'leader'> = {
  state: 'starting',
  txid: 0,
  checksum: '',
  pageSize: 0,
  pages: 0,
  walBytes: 0,
  walFileBytes: 0,
  replicas: [],
  lag: { lagMs: 0, txidLag: 0, connected: false },
  causes: [],
}

/** The view of a node, alive and not ready while its engine opens the database. */
export class LateView implements NodeView {
  readonly #nodeFile: NodeFile
  readonly #setup: NodeSetup
  readonly #clock: Clock
  readonly #audit: AuditSource
  /** Of the database file. */
  readonly #path: string
  readonly #startedMs: number
  engine: Engine | undefined
  failedReads: () => FailedReadsReport | undefined = () => undefined

  constructor(nodeFile: NodeFile, setup: NodeSetup, clock: Clock, audit: AuditSource, path: string) {
    this.#nodeFile = nodeFile
    this.#setup = setup
    this.#clock = clock
    this.#audit = audit
    this.#path = path
    this.#startedMs = clock.nowMs()
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

  history(): string {
    return this.engine?.view.history() ?? ''
  }

  incarnation(): string {
    return this.engine?.view.incarnation() ?? ''
  }

  contains(point: HistoryPoint): boolean {
    return this.engine?.view.contains(point) ?? false
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
    const { node, cluster, role, epoch, leader, promoted, demoted, members, putBack } = this.#nodeFile.record
    const { version } = this.#setup
    const since = role === 'leader' ? promoted : demoted
    const failedReads = this.failedReads()
    return {
      node,
      cluster,
      db: this.#path,
      role: this.role(),
      ...(this.engine?.view.status() ?? { ...STARTING, epoch, leader }),
      version,
      uptimeSeconds: Math.round((this.#clock.nowMs() - this.#startedMs) / 1000),
      members,
      ...(since ? { roleSince: since.at } : {}),
      ...(putBack && putBack.epoch === epoch
        ? { putBack: { at: putBack.at, position: formatPosition(putBack), reason: putBack.reason } }
        : {}),
      ...(failedReads ? { failedReads } : {}),
      audit: this.#audit.recent(AUDIT_ENTRIES),
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

  accept(socket: WebSocket, remoteAddress: string): void {
    if (this.engine) this.engine.view.accept(socket, remoteAddress)
    else socket.terminate()
  }
}
