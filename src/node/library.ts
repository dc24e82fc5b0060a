/** `walcast` as a library: a node within the process of the application. Listens only where it is told to, installs no signal handlers. */
import { EventEmitter } from 'node:events'
import Database from 'better-sqlite3'
import { type Logger, pino } from 'pino'
import { type Position, parsePosition } from '../../proto/position.ts'
import { WalcastError } from '../errors.ts'
import { type NodeRole, type NodeTraffic, type PluginNode, TRAFFIC } from '../http/pluginNode.ts'
import type { LagReport, NodeStatus } from '../http/view.ts'
import { version } from '../version.ts'
import { defaultOptions } from './defaults.ts'
import { startLeader } from './leaderNode.ts'
import type { NodeSetup, RunningNode } from './node.ts'
import type { NodeOptions } from './options.ts'
import { startReplica } from './replicaNode.ts'

export type { Position } from '../../proto/position.ts'
export { formatPosition, parsePosition } from '../../proto/position.ts'
export { type ErrorCode, WalcastError } from '../errors.ts'
export type { NodeRole } from '../http/pluginNode.ts'
export type { LagReport, NodeStatus } from '../http/view.ts'
export type { NodeOptions } from './options.ts'

export interface OpenOptions extends Partial<Omit<NodeOptions, 'db'>> {
  /** Path of the database file, or an open handle on it, which stays the caller's. */
  readonly db: string | Database.Database
  /** The cluster secret, at least 16 characters; without one the node listens on loopback only. */
  readonly secret?: string | undefined
  /** Nothing is logged without one. */
  readonly log?: Logger
}

export interface ReplicaOpenOptions extends OpenOptions {
  /** HOST:PORT of the leader. */
  readonly leader: string
}

/** Events of a node: `role` and `position` on a change, `failed` when it cannot go on and is to be closed. */
export interface NodeEvents {
  role: [NodeRole]
  position: [Position]
  failed: [WalcastError]
}

const MIN_SECRET_CHARS = 16
const DEFAULT_WAIT_MS = 5000
const READY_LOOK_MS = 60_000

/** Leads a database from within this process. Throws the catalogue's start-up errors; nothing is left running then. */
export function openLeader(options: OpenOptions): Promise<WalcastNode> {
  return WalcastNode.start(options, startLeader)
}

/** Keeps a copy of a leader's database from within this process. Resolves before the copy is whole: see `ready`. */
export function openReplica(options: ReplicaOpenOptions): Promise<WalcastNode> {
  return WalcastNode.start(options, startReplica)
}

export class WalcastNode extends EventEmitter<NodeEvents> implements PluginNode {
  #node!: RunningNode
  readonly #path: string
  readonly #handles = new Set<Database.Database>()
  readonly #opened = new Set<Database.Database>()
  #role: NodeRole = 'replica'
  #position: Position = { epoch: 0, txid: 0 }

  private constructor(path: string) {
    super()
    this.#path = path
  }

  static async start(
    options: OpenOptions,
    run: (setup: NodeSetup) => Promise<RunningNode>,
  ): Promise<WalcastNode> {
    const { db, secret, log, ...given } = options
    if (secret !== undefined && secret.length < MIN_SECRET_CHARS)
      throw new WalcastError('SECRET_UNREADABLE', { detail: `it has only ${secret.length} characters` })
    const path = typeof db === 'string' ? db : db.name
    const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
    const node = new WalcastNode(path)
    // Defaults fill every option that is not optional.
    const all = { ...defaultOptions(), ...known, db: path } as NodeOptions
    const setup = { options: all, secret, log: log ?? pino({ level: 'silent' }), version }
    node.#node = await run({ ...setup, onChange: () => node.#onChange() })
    node.#onChange()
    void node.#node.failed.then((error) => node.#onFailed(error))
    if (typeof db !== 'string') node.adopt(db)
    return node
  }

  get [TRAFFIC](): NodeTraffic {
    return this.#node.traffic
  }

  get role(): NodeRole {
    return this.#node.view.role()
  }

  /** Whether the application may write, migrate and run jobs here. */
  get isLeading(): boolean {
    return this.role === 'leader'
  }

  get position(): Position {
    return this.#position
  }

  get status(): NodeStatus {
    return this.#node.view.status()
  }

  get lag(): LagReport {
    return this.#node.view.lag()
  }

  /** Resolves once `position` is applied here. Throws BAD_REQUEST, WAIT_TIMEOUT, POSITION_UNKNOWN or TOO_MANY_WAITS. */
  async waitFor(
    position: Position | string,
    { timeoutMs = DEFAULT_WAIT_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<void> {
    const target = typeof position === 'string' ? parsePosition(position) : position
    if (!target) throw new WalcastError('BAD_REQUEST', { detail: `"${position}" is not EPOCH-TXID` })
    await this.#node.waits.until(target, timeoutMs)
  }

  /** Resolves once the file is a whole copy that can be opened. Throws WAIT_TIMEOUT. */
  async ready({ timeoutMs = READY_LOOK_MS }: { readonly timeoutMs?: number } = {}): Promise<this> {
    const check = () => (this.#node.view.canRead() ? 'reached' : 'ahead')
    await this.#node.waits.untilTrue(check, 'a whole copy', timeoutMs)
    return this
  }

  /** Opens the database, `query_only` while this node does not lead. Closed by `close`. */
  open(options: Database.Options = {}): Database.Database {
    const handle = new Database(this.#path, { fileMustExist: true, ...options })
    this.#opened.add(handle)
    this.adopt(handle)
    return handle
  }

  /** Keeps a handle `query_only` while this node does not lead: a stray write fails at once. It stays the caller's. Throws FOREIGN_HANDLE. */
  adopt(handle: object): void {
    if (!(handle instanceof Database)) throw new WalcastError('FOREIGN_HANDLE')
    this.#handles.add(handle)
    this.#restrict(handle)
  }

  /** Stops the node, within `drainMs`. Closes what `open` gave, and nothing else. */
  async close(): Promise<void> {
    await this.#node.stop()
    for (const handle of this.#opened) handle.close()
    this.#opened.clear()
  }

  #restrict(handle: Database.Database): void {
    if (handle.open) handle.pragma(`query_only = ${this.isLeading ? 0 : 1}`)
    else this.#handles.delete(handle)
  }

  #onChange(): void {
    // The first changes come while the node is being made.
    if (this.#node === undefined) return
    const { epoch, txid } = this.#node.view.position()
    if (epoch !== this.#position.epoch || txid !== this.#position.txid) {
      const position = { epoch, txid }
      this.#position = position
      this.#tell(() => this.emit('position', position))
    }
    const role = this.role
    if (role === this.#role) return
    this.#role = role
    for (const handle of this.#handles) this.#restrict(handle)
    this.#tell(() => this.emit('role', role))
  }

  /** Not from within the engine: what a listener throws is an uncaught exception, and must not stop replication. */
  #tell(emit: () => void): void {
    queueMicrotask(emit)
  }

  #onFailed(error: WalcastError): void {
    this.emit('failed', error)
  }
}
