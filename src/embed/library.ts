/**
 * `walcast` as a library: a node in the process of the application. It listens only where it is
 * told to, and installs no signal handlers.
 */
import { EventEmitter } from 'node:events'
import type Database from 'better-sqlite3'
import { pino } from 'pino'
import { formatPosition, type Position, parsePosition } from '../../proto/position.ts'
import type { LagReport, NodeStatus } from '../api/nodeStatus.ts'
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
import { checkSecret } from '../security/givenSecret.ts'
import { version } from '../version.ts'
import { DatabaseHandles } from './databaseHandles.ts'
import {
  embeddedOptions,
  type OpenOptions,
  pathOf,
  type ReplicaOpenOptions,
} from './embeddedOptions.ts'

export type { Position } from '../../proto/position.ts'
export { formatPosition, parsePosition } from '../../proto/position.ts'
export type { LagReport, NodeStatus } from '../api/nodeStatus.ts'
export type { DemoteAnswer, NodeRole, PromoteAnswer, SwitchoverAnswer } from '../api/roleAnswers.ts'
export { type ErrorCode, WalcastError } from '../errors.ts'
export type { NodeOptions } from '../options/nodeOptions.ts'
export { type Kek, Keyring, keyring, newKek } from '../security/keyring.ts'
export * from '../settings/settings.ts'
export type { OpenOptions, ReplicaOpenOptions } from './embeddedOptions.ts'

/**
 * Events of a node: `role` and `position` on a change; `failed` when the node cannot go on and must
 * be closed.
 */
export interface NodeEvents {
  role: [NodeRole]
  position: [Position]
  failed: [WalcastError]
}

const DEFAULT_WAIT_MS = 5000
/** Who asks, in the audit log, for what the program asks for. */
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
 * Opens a database in the role of its role file. The first time it follows the node at `leader`, or
 * leads without one. The role may change while the program runs: see the event `role`, `promote`
 * and `switchover`.
 */
export function openNode(options: OpenOptions): Promise<WalcastNode> {
  return WalcastNode.start('node', options)
}

export class WalcastNode extends EventEmitter<NodeEvents> implements PluginNode {
  readonly #node: RunningNode
  readonly #handles: DatabaseHandles
  #role: NodeRole = 'replica'
  #position: Position = { epoch: 0, txid: 0 }
  #failure: WalcastError | undefined
  #isClosed = false

  private constructor(node: RunningNode, path: string) {
    super()
    this.#node = node
    this.#handles = new DatabaseHandles(path, () => this.isLeading)
    this.#onChange()
    void node.failed.then((error) => this.#onFailed(error))
  }

  static async start(as: StartAs, options: OpenOptions): Promise<WalcastNode> {
    const { db, secret, log, ...given } = options
    if (secret !== undefined) checkSecret(secret)
    const known = embeddedOptions(as, given)
    const path = pathOf(db)
    // Defaults fill every option that is not optional.
    const all = { ...defaultOptions(), ...known, db: path } as NodeOptions
    const setup = { options: all, secret, log: log ?? pino({ level: 'silent' }), version }
    let opened: WalcastNode | undefined
    // Earlier changes need no event: the constructor looks at the node as it is then.
    const onChange = () => {
      if (opened) opened.#onChange()
    }
    const node = await startNode({ ...setup, onChange }, as)
    opened = new WalcastNode(node, path)
    try {
      if (typeof db !== 'string') opened.adopt(db)
    } catch (error) {
      await opened.close()
      throw error
    }
    return opened
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
    return this.#node.status()
  }

  get lag(): LagReport {
    return this.#node.lag()
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
   * Resolves once as many replicas hold `position` as `level` says, with how many do. Without a
   * position: all that was committed here by now. Throws NOT_REPLICATED when they do not in time,
   * NOT_LEADER, STARTING or BAD_REQUEST.
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

  /**
   * Makes this node the leader. Throws what RoleActions.promote throws; the node then follows as
   * before.
   */
  promote({ force = false, dryRun = false } = {}): Promise<PromoteAnswer> {
    return this.#node.roles.promote({ force, dryRun }, BY)
  }

  /**
   * Ends this node's leadership: it follows the one at `leader` (HOST:PORT), or the node that is
   * promoted. Throws USAGE and what RoleActions.demote throws; the node then leads on.
   */
  async demote({ leader }: { readonly leader?: string } = {}): Promise<DemoteAnswer> {
    if (leader !== undefined) addressOf(leader)
    return this.#node.roles.demote({ leader, epoch: undefined }, BY)
  }

  /**
   * Makes the leader hand over to another node (id or HOST:PORT) without losing a transaction.
   * Throws what RoleActions.switchover throws. The leader then leads on, except after
   * SWITCHOVER_UNKNOWN and LEADERLESS.
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

  /** Opens the database, `query_only` while this node does not lead. `close` closes it. */
  open(options: Database.Options = {}): Database.Database {
    if (this.#isClosed) throw new WalcastError('STOPPING')
    return this.#handles.open(options)
  }

  /**
   * Keeps a handle `query_only` while this node does not lead: a stray write fails at once. It
   * stays the caller's. Throws FOREIGN_HANDLE.
   */
  adopt(handle: object): void {
    this.#handles.adopt(handle)
  }

  /** Stops the node, within `drainMs`. Closes what `open` returned, and nothing else. */
  async close(): Promise<void> {
    this.#isClosed = true
    try {
      await this.#node.stop()
    } finally {
      this.#handles.closeOpened()
    }
  }

  #onChange(): void {
    const { epoch, txid } = this.#node.view.position()
    if (epoch !== this.#position.epoch || txid !== this.#position.txid) {
      this.#position = { epoch, txid }
      this.#tell(() => this.emit('position', this.#position))
    }
    const role = this.role
    if (role === this.#role) return
    this.#role = role
    this.#handles.restrict()
    this.#tell(() => this.emit('role', role))
  }

  /** On the next turn: the program that has just opened the node adds its listeners first. */
  #onFailed(error: WalcastError): void {
    this.#failure = error
    onNextTurn(() => this.#tell(() => this.emit('failed', error)))
  }

  /** The application has to catch what a listener throws; it stops nothing here. */
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
