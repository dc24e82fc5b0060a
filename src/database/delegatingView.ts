import type { WebSocket } from 'ws'
import type { HistoryPoint } from '../../proto/lineage.ts'
import { formatPosition, type Position } from '../../proto/position.ts'
import type { ApplicationStatus } from '../api/applicationStatus.ts'
import type { AuditSource } from '../api/audit.ts'
import type { FailedReadsReport } from '../api/failedReads.ts'
import {
  type LagReport,
  NO_QUEUES,
  type NodeStatus,
  type NodeView,
  type QueueSizes,
} from '../api/nodeView.ts'
import type { Reach, WaitTarget } from '../api/positionWaits.ts'
import type { NodeRole } from '../api/roleAnswers.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { WalcastError } from '../errors.ts'
import type { AckOutcome, AckWanted } from '../feed/acknowledgements.ts'
import { applicationCauses } from '../health/applicationCauses.ts'
import type { Clock } from '../platform/clock.ts'
import { LagTracker } from '../replica/lag.ts'
import type { Engine, EngineStatus, NodeSetup } from './engine.ts'

/** Of the audit log, in the status. */
const AUDIT_ENTRIES = 10
/** Leaderships that have ended and of which it is known where. A request outlasts few of them. */
const MAX_ENDED = 16

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
export class DelegatingView implements NodeView {
  readonly #nodeFile: NodeFile
  readonly #setup: NodeSetup
  readonly #clock: Clock
  readonly #audit: AuditSource
  /** Of the database file. */
  readonly #path: string
  readonly #startedMs: number
  /** Undefined without one. */
  application: () => ApplicationStatus | undefined = () => undefined
  failedReads: () => FailedReadsReport | undefined = () => undefined
  #engine: Engine | undefined
  /** Where each leadership of this node ended: txids by incarnation, the oldest first. */
  readonly #ended = new Map<string, number>()

  constructor(
    nodeFile: NodeFile,
    setup: NodeSetup,
    clock: Clock,
    audit: AuditSource,
    path: string,
  ) {
    this.#nodeFile = nodeFile
    this.#setup = setup
    this.#clock = clock
    this.#audit = audit
    this.#path = path
    this.#startedMs = clock.nowMs()
  }

  get engine(): Engine | undefined {
    return this.#engine
  }

  /** Takes the place of one that has come to its end. */
  set engine(next: Engine | undefined) {
    const led = this.incarnation()
    if (led !== '') this.#ended.set(led, this.position().txid)
    for (const oldest of this.#ended.keys()) {
      if (this.#ended.size <= MAX_ENDED) break
      this.#ended.delete(oldest)
    }
    this.#engine = next
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

  lasted(incarnation: string): boolean {
    if (incarnation === this.incarnation()) return true
    const txid = this.#ended.get(incarnation)
    return txid !== undefined && this.contains({ incarnation, txid })
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

  leaderAt(): ReturnType<NodeView['leaderAt']> {
    return this.engine?.view.leaderAt() ?? { epoch: 0, txid: 0, agoMs: Number.POSITIVE_INFINITY }
  }

  freshen(): void {
    this.engine?.view.freshen()
  }

  /** What the engine says, and what the node knows whatever its role. */
  status(): NodeStatus {
    const { node, cluster, role, epoch, leader, promoted, demoted, members, putBack } =
      this.#nodeFile.record
    const { version } = this.#setup
    const application = this.application()
    const told = this.engine?.view.status() ?? { ...STARTING, epoch, leader }
    const since = role === 'leader' ? promoted : demoted
    const failedReads = this.failedReads()
    return {
      node,
      cluster,
      db: this.#path,
      role: this.role(),
      ...told,
      causes: [...told.causes, ...applicationCauses(application)],
      ...(application ? { application } : {}),
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
