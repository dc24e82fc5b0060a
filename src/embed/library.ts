/**
 * `walcast` as a library: a node within the process of the application. Listens only where it is
 * told to, installs no signal handlers.
 */
import { EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import Database from 'better-sqlite3'
import { type Logger, pino } from 'pino'
import { formatPosition, type Position, parsePosition } from '../../proto/position.ts'
import type { LagReport, NodeStatus } from '../api/nodeView.ts'
import type { DemoteAnswer, NodeRole, PromoteAnswer, SwitchoverAnswer } from '../api/roleAnswers.ts'
import { WalcastError } from '../errors.ts'
import { isLocal, requireAckLevel } from '../feed/ackLevel.ts'
import { startNode } from '../node/node.ts'
import type { StartAs } from '../node/nodeFolder.ts'
import type { RunningNode } from '../node/runningNode.ts'
import { addressOf } from '../options/address.ts'
import { defaultOptions } from '../options/defaults.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { onNextTurn } from '../platform/time.ts'
import { type NodeTraffic, type PluginNode, TRAFFIC } from '../proxy/pluginNode.ts'
import { checkSecret } from '../security/auth.ts'
import { version } from '../version.ts'
import { embeddedOptions } from './embeddedOptions.ts'

export type { Position } from '../../proto/position.ts'
export { formatPosition, parsePosition } from '../../proto/position.ts'
export type { LagReport, NodeStatus } from '../api/nodeView.ts'
export type { DemoteAnswer, NodeRole, PromoteAnswer, SwitchoverAnswer } from '../api/roleAnswers.ts'
export { type ErrorCode, WalcastError } from '../errors.ts'
export type { NodeOptions } from '../options/nodeOptions.ts'

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

/**
 * Events of a node: `role` and `position` on a change, `failed` when it cannot go on and is to be
 * closed.
 */
export interface NodeEvents {
  role: [NodeRole]
  position: [Position]
  failed: [WalcastError]
}

const DEFAULT_WAIT_MS = 5000
/** Who asks for what the program asks for. */
const BY = 'the program itself'
/** A timer that is set for longer goes off at once. */
const MAX_TIMER_MS = 2 ** 31 - 1
const READY_LOOK_MS = 60_000

/**
 * Leads a database from within this process. Throws the catalogue's start-up errors; nothing is
 * left running then.
 */
export function openLeader(options: OpenOptions): Promise<WalcastNode> {
  return WalcastNode.start('leader', options)
}

/**
 * Keeps a copy of a leader's database from within this process. Resolves before the copy is whole:
 * see `ready`.
 */
export function openReplica(options: ReplicaOpenOptions): Promise<WalcastNode> {
  return WalcastNode.start('replica', options)
}

/**
 * Opens a database in the role that its role file says; the first time it follows the node at
 * `leader`, or leads when that is not given. The role may change while the program runs: see the
 * event `role`, `promote` and `switchover`.
 */
export function openNode(options: OpenOptions): Promise<WalcastNode> {
  return WalcastNode.start('node', options)
}

export class WalcastNode extends EventEmitter<NodeEvents> implements PluginNode {
  #node!: RunningNode
  readonly #path: string
  readonly #handles = new Set<Database.Database>()
  readonly #opened = new Set<Database.Database>()
  #role: NodeRole = 'replica'
  #position: Position = { epoch: 0, txid: 0 }
  #failure: WalcastError | undefined
  #isClosed = false

  private constructor(path: string) {
    super()
    this.#path = path
  }

  static async start(as: StartAs, options: OpenOptions): Promise<WalcastNode> {
    const { db, secret, log, ...given } = options
    if (secret !== undefined) checkSecret(secret)
    const known = embeddedOptions(as, given)
    const path = pathOf(db)
    const node = new WalcastNode(path)
    // Defaults fill every option that is not optional.
    const all = { ...defaultOptions(), ...known, db: path } as NodeOptions
    const setup = { options: all, secret, log: log ?? pino({ level: 'silent' }), version }
    node.#node = await startNode({ ...setup, onChange: () => node.#onChange() }, as)
    node.#onChange()
    void node.#node.failed.then((error) => node.#onFailed(error))
    try {
      if (typeof db !== 'string') node.adopt(db)
    } catch (error) {
      await node.close()
      throw error
    }
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

  /** Why the node cannot go on, when it has failed. */
  get failure(): WalcastError | undefined {
    return this.#failure
  }

  get status(): NodeStatus {
    return this.#node.view.status()
  }

  get lag(): LagReport {
    return this.#node.view.lag()
  }

  /**
   * Resolves once `position` is applied here. Throws BAD_REQUEST, WAIT_TIMEOUT, POSITION_UNKNOWN or
   * TOO_MANY_WAITS.
   */
  async waitFor(
    position: Position | string,
    { timeoutMs = DEFAULT_WAIT_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<void> {
    await this.#node.waits.until(requirePosition(position), Math.min(timeoutMs, MAX_TIMER_MS))
  }

  /**
   * Resolves, with how many they are, once as many replicas hold `position` (without one:
   * everything committed here until now) as `level` says. Throws NOT_REPLICATED when they do not in
   * time, NOT_LEADER, STARTING or BAD_REQUEST.
   */
  async acknowledged(
    position?: Position | string,
    {
      level = 'one',
      timeoutMs = DEFAULT_WAIT_MS,
    }: { readonly level?: string; readonly timeoutMs?: number } = {},
  ): Promise<number> {
    const wanted = requireAckLevel(level)
    const { traffic, view } = this.#node
    const target = position === undefined ? await view.settle() : requirePosition(position)
    if (isLocal(wanted)) return 0
    const limitMs = Math.min(timeoutMs, MAX_TIMER_MS)
    const { reached, replicas, end } = await traffic.acks.wait(target, wanted, limitMs)
    if (reached) return replicas
    const details = { wanted: formatPosition(target), level: wanted.name, replicas, detail: end }
    throw new WalcastError('NOT_REPLICATED', details)
  }

  /**
   * Resolves once the file is a whole copy that can be opened. Throws WAIT_TIMEOUT, or why the node
   * cannot go on.
   */
  async ready({ timeoutMs = READY_LOOK_MS }: { readonly timeoutMs?: number } = {}): Promise<this> {
    const check = () => (this.#node.view.canRead() ? 'reached' : 'ahead')
    const failed = this.#node.failed.then((error) => {
      throw error
    })
    const whole = this.#node.waits.untilTrue(
      check,
      'a whole copy',
      Math.min(timeoutMs, MAX_TIMER_MS),
    )
    await Promise.race([failed, whole])
    return this
  }

  /** Has this node lead. Throws what RoleActions.promote throws, and then it follows as before. */
  promote({ force = false, dryRun = false } = {}): Promise<PromoteAnswer> {
    return this.#node.roles.promote({ force, dryRun }, BY)
  }

  /**
   * Has this node lead no more: it follows the one at `leader` (HOST:PORT), or whoever is promoted.
   * Throws USAGE and what RoleActions.demote throws, and then it leads on.
   */
  async demote({ leader }: { readonly leader?: string } = {}): Promise<DemoteAnswer> {
    if (leader !== undefined) addressOf(leader)
    return this.#node.roles.demote({ leader, epoch: undefined }, BY)
  }

  /**
   * Has the leader hand over to another node (id or HOST:PORT), without losing a transaction.
   * Throws what RoleActions.switchover throws: only after SWITCHOVER_UNKNOWN and LEADERLESS the
   * leader does not lead on.
   */
  switchover({
    to,
    timeoutMs,
  }: {
    readonly to?: string
    readonly timeoutMs?: number
  } = {}): Promise<SwitchoverAnswer> {
    return this.#node.roles.switchover({ to, timeoutMs }, BY)
  }

  /** Opens the database, `query_only` while this node does not lead. Closed by `close`. */
  open(options: Database.Options = {}): Database.Database {
    if (this.#isClosed) throw new WalcastError('STOPPING')
    const handle = new Database(this.#path, { fileMustExist: true, ...options })
    this.#opened.add(handle)
    this.adopt(handle)
    return handle
  }

  /**
   * Keeps a handle `query_only` while this node does not lead: a stray write fails at once. It
   * stays the caller's. Throws FOREIGN_HANDLE.
   */
  adopt(handle: object): void {
    if (!(handle instanceof Database)) throw new WalcastError('FOREIGN_HANDLE')
    for (const known of this.#handles) if (!known.open) this.#forget(known)
    this.#handles.add(handle)
    this.#restrict(handle)
  }

  /** Stops the node, within `drainMs`. Closes what `open` gave, and nothing else. */
  async close(): Promise<void> {
    this.#isClosed = true
    try {
      await this.#node.stop()
    } finally {
      for (const handle of this.#opened) handle.close()
      this.#opened.clear()
    }
  }

  #restrict(handle: Database.Database): void {
    if (handle.open) handle.pragma(`query_only = ${this.isLeading ? 0 : 1}`)
    else this.#forget(handle)
  }

  #forget(handle: Database.Database): void {
    this.#handles.delete(handle)
    this.#opened.delete(handle)
  }

  #onChange(): void {
    // The first changes come while the node is being made.
    if (this.#node === undefined) return
    const { epoch, txid } = this.#node.view.position()
    if (epoch !== this.#position.epoch || txid !== this.#position.txid) {
      this.#position = { epoch, txid }
      this.#tell(() => this.emit('position', this.#position))
    }
    const role = this.role
    if (role === this.#role) return
    this.#role = role
    for (const handle of this.#handles) this.#restrict(handle)
    this.#tell(() => this.emit('role', role))
  }

  /** Whoever has just opened the node comes to listen first. */
  #onFailed(error: WalcastError): void {
    this.#failure = error
    onNextTurn(() => this.#tell(() => this.emit('failed', error)))
  }

  /** What a listener throws is the application's to catch, and stops nothing here. */
  #tell(emit: () => void): void {
    try {
      emit()
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

function requirePosition(given: Position | string): Position {
  const position = typeof given === 'string' ? parsePosition(given) : given
  if (!position) throw new WalcastError('BAD_REQUEST', { detail: `"${given}" is not EPOCH-TXID` })
  return position
}

/** Of a database file or of an open handle on one. Throws USAGE or FOREIGN_HANDLE. */
function pathOf(db: unknown): string {
  if (typeof db === 'object' && db !== null && !(db instanceof Database))
    throw new WalcastError('FOREIGN_HANDLE')
  const path = db instanceof Database ? db.name : db
  if (typeof path !== 'string' || path === '' || path === ':memory:')
    throw new WalcastError('USAGE', {
      detail: 'db is to be the path of a database file or a handle on one',
    })
  return resolve(path)
}
