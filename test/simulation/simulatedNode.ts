/**
 * A node on a machine of its own: its role file, its engine and its thread for SQLite are the real
 * ones. It can be killed at any event or at any write, and started again over its files.
 */
import { pino } from 'pino'
import { joined, withIncarnation, withoutIdle } from '../../proto/lineage.ts'
import { NodeFile, type NodeRecord } from '../../src/cluster/nodeFile.ts'
import { asWalcastError, type WalcastError } from '../../src/errors.ts'
import { ReplicaList } from '../../src/feed/replicaList.ts'
import { Leader } from '../../src/leader/leader.ts'
import type { LeaderOptions } from '../../src/leader/leaderOptions.ts'
import type { FileOps } from '../../src/platform/fileOps.ts'
import { CopyAccess } from '../../src/replica/copy/copyAccess.ts'
import { Replica } from '../../src/replica/replica.ts'
import type { ReplicaOptions } from '../../src/replica/replicaOptions.ts'
import { fileMode } from '../../src/sqlite/fileModes.ts'
import { SqliteThread } from '../../src/sqlite/sqliteThread.ts'
import type { MemorySocket } from './memorySocket.ts'
import type { Host, Network } from './network.ts'
import type { Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { Trace } from './trace.ts'

const DB = 'db'
/** A line of the log of pino's level error. */
const ERROR_LINE = '{"level":50'

export interface NodeSite {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly network: Network
  readonly trace: Trace
  readonly ops: FileOps
  /** Hears what the engines tell. */
  readonly onCaptured: (txid: number, checksum: string) => void
  readonly onApplied: (node: SimulatedNode) => void
  readonly onSynced: (node: SimulatedNode) => void
  /** It is up; a replica has opened its copy, if it has one. */
  readonly onUp: (node: SimulatedNode) => void
  readonly onFatal: (node: SimulatedNode, error: WalcastError) => void
  /** The key of an error that ended a connection, or what an engine called an error in its log. */
  readonly onTrouble: (node: SimulatedNode, what: string) => void
}

/** One process of a node, from its start to its end. */
export class NodeProcess implements Host {
  readonly address: string
  readonly instance: string
  readonly upSinceMs: number
  isAlive = true
  /** Writes to files that it may still make before it dies. */
  writesLeft = Number.POSITIVE_INFINITY
  leader: Leader | undefined
  replica: Replica | undefined
  nodeFile: NodeFile | undefined

  constructor(address: string, instance: string, upSinceMs: number) {
    this.address = address
    this.instance = instance
    this.upSinceMs = upSinceMs
  }
}

export class SimulatedNode {
  readonly id: string
  readonly address: string
  readonly folder: string
  readonly path: string
  readonly #site: NodeSite
  readonly #first: NodeRecord
  /** This machine's clock is so far off. */
  readonly #skewMs: number
  process: NodeProcess | undefined

  constructor(id: string, site: NodeSite, first: NodeRecord, skewMs: number) {
    this.id = id
    this.address = `${id}:7400`
    this.folder = `/${id}/app.db-walcast`
    this.path = `/${id}/app.db`
    this.#site = site
    this.#first = first
    this.#skewMs = skewMs
  }

  get isUp(): boolean {
    return this.process !== undefined
  }

  start(): void {
    const { scheduler, random, trace } = this.#site
    const instance = random.randomBytes(8).toString('hex')
    const process = new NodeProcess(this.address, instance, scheduler.elapsedMs)
    this.process = process
    trace.add(this.id, 'starts')
    scheduler.after(0, () => void this.#open(process), process)
  }

  /** Its memory is lost, its files stay as they are. */
  kill(): void {
    const { process } = this
    if (!process) return
    this.#site.trace.add(this.id, 'is killed')
    this.process = undefined
    process.isAlive = false
    this.#site.network.bury(process)
  }

  /** Dies within one of its next writes, or at the latest after `withinMs`. */
  killAtWrite(writes: number, withinMs: number): void {
    const { process } = this
    if (!process) return
    process.writesLeft = writes
    this.#site.scheduler.after(withinMs, () => {
      if (this.process === process) this.kill()
    })
  }

  /** Told of each write of a process to a file. */
  onWrite(process: NodeProcess): void {
    if (this.process === process && process.writesLeft-- <= 0) this.kill()
  }

  /** Ends in order, and is down when it has. */
  stop(): void {
    const { process } = this
    if (!process) return
    this.#site.trace.add(this.id, 'is told to stop')
    this.#site.scheduler.after(0, () => void this.#stop(process), process)
  }

  async #stop(process: NodeProcess): Promise<void> {
    try {
      await process.replica?.stop()
      await process.leader?.stop()
    } catch (error) {
      return this.#site.onFatal(this, asWalcastError(error))
    }
    if (this.process === process) this.kill()
  }

  async #open(process: NodeProcess): Promise<void> {
    try {
      const nodeFile = await NodeFile.open(this.folder, this.#site.ops, this.#first)
      process.nodeFile = nodeFile
      const thread = new SqliteThread()
      if (nodeFile.record.role === 'leader') await this.#lead(process, nodeFile, thread)
      else process.replica = await Replica.open(this.#replicaOptions(process, nodeFile), thread)
      this.#site.trace.add(this.id, `is up as ${nodeFile.record.role}`)
      if (process.isAlive) this.#site.onUp(this)
    } catch (error) {
      if (process.isAlive) this.#site.onFatal(this, asWalcastError(error))
    }
  }

  async #lead(process: NodeProcess, nodeFile: NodeFile, thread: SqliteThread): Promise<void> {
    const leader = await Leader.open(this.#leaderOptions(process, nodeFile), thread)
    process.leader = leader
    this.#site.network.listen(process, (socket: MemorySocket, remoteAddress) =>
      leader.accept(socket.asWebSocket, remoteAddress),
    )
  }

  #onLog(line: string): void {
    this.#site.trace.add(this.id, line)
    if (line.startsWith(ERROR_LINE)) this.#site.onTrouble(this, line)
  }

  /** What both engines take. */
  #parts() {
    const { scheduler, ops } = this.#site
    const clock = { nowMs: () => scheduler.nowMs() + this.#skewMs }
    const log = pino(
      { base: null, timestamp: false },
      { write: (line: string) => this.#onLog(line.trim()) },
    )
    return { db: DB, path: this.path, stateFolder: this.folder, version: '0', log, clock, ops }
  }

  #leaderOptions(process: NodeProcess, nodeFile: NodeFile): LeaderOptions {
    const { onCaptured, onFatal, onTrouble } = this.#site
    const parts = this.#parts()
    const save: LeaderOptions['identity']['save'] = (begun) =>
      nodeFile.update({
        epoch: begun.epoch,
        term: begun.term,
        txidCeiling: begun.txidCeiling,
        incarnation: begun.begun.id,
        leaderMode: fileMode(this.path),
        lineage: withIncarnation(
          withoutIdle(nodeFile.record.lineage, this.id, begun.txid, begun.stored),
          begun.begun,
        ),
      })
    return {
      ...parts,
      address: this.address,
      identity: {
        node: this.id,
        cluster: nodeFile.record.cluster,
        instance: process.instance,
        epoch: () => nodeFile.record.epoch,
        incarnation: () => nodeFile.record.incarnation,
        raised: () => undefined,
        txidCeiling: () => nodeFile.record.txidCeiling,
        lineage: () => nodeFile.record.lineage,
        term: () => nodeFile.record.term,
        members: () => [],
        save,
        insist: save,
        raiseCeiling: (txidCeiling) => nodeFile.update({ txidCeiling }),
      },
      checkpoint: { softWalFrames: 60, hardWalFrames: 80, maxWalBytes: 1e6, fenceTimeoutMs: 50 },
      wake: { pollAbovePerSecond: 400, pollMs: 1, idleMs: 500 },
      session: { maxBufferedBytes: 65536, stallMs: 5000, helloTimeoutMs: 3000 },
      historyBytes: 262144,
      batchBytes: 65536,
      maxReplicas: 8,
      heartbeatMs: 500,
      replicas: new ReplicaList(parts.clock, this.id),
      maxAckWaits: 100,
      observer: {
        onBatch: ({ last, txid, checksum }) => {
          if (process.isAlive && last) onCaptured(txid, checksum)
        },
        onPass() {},
        onUnverified() {},
        onSent() {},
        onBadMessage: (key) => onTrouble(this, key),
        onEpoch() {},
        onPutBack() {},
        onHigherEpoch() {},
        onFatal: (error) => onFatal(this, error),
      },
    }
  }

  #replicaOptions(process: NodeProcess, nodeFile: NodeFile): ReplicaOptions {
    const { onApplied, onSynced, onFatal, onTrouble, scheduler } = this.#site
    const parts = this.#parts()
    const leader = nodeFile.record.leader || undefined
    const ifAlive = (tell: (node: SimulatedNode) => void) => () => {
      if (process.isAlive) tell(this)
    }
    return {
      ...parts,
      advertise: this.address,
      identity: {
        node: this.id,
        instance: process.instance,
        upMs: () => scheduler.elapsedMs - process.upSinceMs,
        cluster: () => nodeFile.record.cluster,
        lineage: () => nodeFile.record.lineage,
        lastLeader: () => '',
        term: () => nodeFile.record.term,
        epoch: () => nodeFile.record.epoch,
        adopt: async ({ cluster, epoch, term, fileMode: leaderMode }, told, address) => {
          const lineage = joined(nodeFile.record.lineage, told)
          await nodeFile.update({ cluster, epoch, term, leader: address, leaderMode, lineage })
        },
      },
      subscription: {
        db: DB,
        leader,
        reconnectMinMs: 50,
        reconnectMaxMs: 2000,
        handshakeTimeoutMs: 2000,
        silenceMs: 3000,
        maxQueuedBytes: 65536,
      },
      walBytes: 65536,
      access: new CopyAccess({
        path: this.path,
        leaderMode: () => nodeFile.record.leaderMode,
        log: parts.log,
      }),
      lockTimeoutMs: 2000,
      maxDiverged: 8,
      maxDivergedBytes: 1e7,
      idleMs: 1000,
      pingMs: 2000,
      upgradeHeaders: () => ({}),
      observer: {
        onConnected() {},
        onLeaderAt() {},
        onLeaderStopping() {},
        onReceived() {},
        onApplied: ifAlive(onApplied),
        onCheckpoint() {},
        onDurable() {},
        onDisconnected: (key) => onTrouble(this, key),
        onRefused() {},
        onSynced: ifAlive(onSynced),
        onStray: () => onTrouble(this, 'STRAY_WRITE'),
        onKeptDropped() {},
        onMember() {},
        onMoved() {},
        onFatal: (error) => onFatal(this, error),
      },
    }
  }
}
