import type { WebSocket } from 'ws'
import type { HistoryPoint } from '../../proto/lineage.ts'
import { formatPosition, type Position } from '../../proto/position.ts'
import type { DatabaseLag, DatabaseStatus } from '../api/databaseStatus.ts'
import { type DatabaseView, NO_QUEUES, type QueueSizes } from '../api/databaseView.ts'
import type { Reach, WaitTarget } from '../api/positionWaits.ts'
import type { NodeRole } from '../api/roleAnswers.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { WalcastError } from '../errors.ts'
import type { AckOutcome, AckWanted } from '../feed/acknowledgements.ts'
import type { Clock } from '../platform/clock.ts'
import { LagTracker } from '../replica/lag.ts'
import type { Engine, EngineStatus } from './engine.ts'

/** How many ended leaderships the view remembers. A request outlasts few of them. */
const MAX_ENDED = 16

/** While the engine opens the database. */
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

/**
 * The view of one database, whatever engine stands behind it: alive and not ready until the first
 * engine has opened the database.
 */
export class DelegatingView implements DatabaseView {
  readonly #nodeFile: NodeFile
  readonly #clock: Clock
  /** Of the database file. */
  readonly #path: string
  #engine: Engine | undefined
  /** Where each leadership of this node ended: txids by incarnation, the oldest first. */
  readonly #ended = new Map<string, number>()

  constructor(nodeFile: NodeFile, clock: Clock, path: string) {
    this.#nodeFile = nodeFile
    this.#clock = clock
    this.#path = path
  }

  get engine(): Engine | undefined {
    return this.#engine
  }

  /** Replaces an engine that has ended. */
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

  leaderAt(): ReturnType<DatabaseView['leaderAt']> {
    return this.engine?.view.leaderAt() ?? { epoch: 0, txid: 0, agoMs: Number.POSITIVE_INFINITY }
  }

  freshen(): void {
    this.engine?.view.freshen()
  }

  /** The engine's status, and what the role file knows whatever the role. */
  status(): DatabaseStatus {
    const { role, epoch, leader, began, promoted, demoted, putBack } = this.#nodeFile.record
    const since = (role === 'leader' ? promoted : demoted)?.at ?? began
    return {
      db: this.#path,
      role: this.role(),
      ...(this.engine?.view.status() ?? { ...STARTING, epoch, leader }),
      ...(since ? { roleSince: since } : {}),
      ...(putBack && putBack.epoch === epoch
        ? { putBack: { at: putBack.at, position: formatPosition(putBack), reason: putBack.reason } }
        : {}),
    }
  }

  lag(): DatabaseLag {
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
