/**
 * The folder of a node beside its database (`FILE-walcast`): the lock that keeps a second node out,
 * and the role file as the start finds and leaves it.
 */
import { NodeFile } from '../cluster/nodeFile.ts'
import { type NodeRecord, newId } from '../cluster/nodeRecord.ts'
import type { NodeSetup } from '../database/engine.ts'
import { WalcastError } from '../errors.ts'
import { systemClock } from '../platform/clock.ts'
import { type FileOps, makeFolder } from '../platform/fileOps.ts'
import {
  foundAt,
  inspectDatabase,
  isBlankDatabase,
  isOnePage,
  linkCount,
} from '../sqlite/databaseFiles.ts'
import { exec, isBusy, open, type SqliteThread } from '../sqlite/sqliteThread.ts'
import { finishLeaving, leftError } from './departure.ts'
import { keepOthersOut, requireOwnFolder } from './folderAccess.ts'

/** How a node is started: in a role, or (`node`) in the role that its role file says. */
export type StartAs = 'leader' | 'replica' | 'node'

/** The connection that holds the lock until the process ends. */
export const LOCK_CONNECTION = 'node-lock'

export class NodeFolder {
  readonly path: string
  readonly #db: string
  readonly #setup: NodeSetup
  readonly #as: StartAs
  readonly #first: NodeRecord

  /**
   * Makes nothing. Throws when the file at `db` does not suit the role that the node would have:
   * NOT_A_COPY, or what `inspectDatabase` throws.
   */
  constructor(db: string, setup: NodeSetup, as: StartAs) {
    this.path = `${db}-walcast`
    this.#db = db
    this.#setup = setup
    this.#as = as
    this.#first = firstRecord(setup, as)
    if (this.#isForeign() && !isOnePage(db)) throw new WalcastError('NOT_A_COPY', { path: db })
  }

  /** `enter` and `openFile` in one. Throws LEFT, and what both throw. */
  async open(thread: SqliteThread, ops: FileOps): Promise<NodeFile> {
    await this.enter(thread)
    const left = finishLeaving(this.path, ops)
    if (left) throw leftError(this.#db, left)
    return this.openFile(ops)
  }

  /**
   * Makes the folder and takes the lock. Checks again under the lock what the constructor checked:
   * another node of this folder may have ended only now. Throws FOLDER_FOREIGN, ALREADY_RUNNING,
   * DISK_FULL or WRITE_FAILED, and what the constructor throws.
   */
  async enter(thread: SqliteThread): Promise<void> {
    await this.#refuseForeign(thread)
    makeFolder(this.path)
    requireOwnFolder(this.path)
    keepOthersOut(this.path, this.#setup.log)
    await takeNodeLock(thread, this.#db, this.path)
    await this.#refuseForeign(thread)
  }

  /**
   * Opens the role file, under the lock. `first`: what it says at the first start beside the
   * options. Throws NODE_NAMED, DISK_FULL or WRITE_FAILED.
   */
  async openFile(ops: FileOps, first: Partial<NodeRecord> = {}): Promise<NodeFile> {
    const nodeFile = await NodeFile.open(this.path, ops, { ...this.#first, ...first })
    const change = givenNow(this.#setup, this.#as, nodeFile.record)
    requireOwnName(change, nodeFile.record)
    // A node that changes nothing starts on a full disk too.
    if (isChange(change, nodeFile.record))
      await nodeFile.update(change).catch(async (error) => {
        await nodeFile.stop()
        throw error
      })
    sayRole(this.#setup, this.#as, nodeFile.record)
    return nodeFile
  }

  /**
   * Whether a file that no node has made lies in the place of a copy. Throws what `inspectDatabase`
   * throws for the database of a leader.
   */
  #isForeign(): boolean {
    const known = NodeFile.peek(this.path)
    const role = known?.role ?? this.#first.role
    if (role !== 'leader') return !known && foundAt(this.#db) === 'bytes'
    inspectDatabase(this.#db)
    return false
  }

  async #refuseForeign(thread: SqliteThread): Promise<void> {
    if (this.#isForeign() && !(await isBlankDatabase(thread, this.#db)))
      throw new WalcastError('NOT_A_COPY', { path: this.#db })
  }
}

/**
 * Takes an exclusive SQLite lock on a file of the node's own. The lock goes with the process,
 * however that ends. Throws ALREADY_RUNNING or WRITE_FAILED.
 */
export async function takeNodeLock(
  thread: SqliteThread,
  path: string,
  stateFolder: string,
): Promise<void> {
  const [opened, locked] = await thread.attempt(
    open(LOCK_CONNECTION, `${stateFolder}/lock`, 0, true),
    exec(LOCK_CONNECTION, 'BEGIN EXCLUSIVE'),
  )
  if (opened.ok && locked.ok) return
  const failed = opened.ok ? locked : opened
  if (isBusy(failed)) throw new WalcastError('ALREADY_RUNNING', { path })
  throw new WalcastError('WRITE_FAILED', {
    path: stateFolder,
    detail: failed.ok ? '' : failed.detail,
  })
}

/** The role file of a node that starts for the first time. */
function firstRecord({ options, clock = systemClock }: NodeSetup, as: StartAs): NodeRecord {
  const leads = as === 'leader' || (as === 'node' && options.leader === undefined)
  const { standby } = options
  return {
    format: 2,
    node: options.name ?? newId('node'),
    cluster: leads ? newId('cluster') : '',
    role: leads ? 'leader' : standby ? 'standby' : 'replica',
    epoch: 0,
    term: 0,
    txidCeiling: 0,
    standby,
    leader: options.leader ?? '',
    givenLeader: options.leader ?? '',
    lineage: [],
    incarnation: '',
    members: [],
    began: new Date(clock.nowMs()).toISOString(),
  }
}

/**
 * What the options change in the role file. A new address of a leader counts. The same address
 * given again does not undo a change of role.
 */
function givenNow({ options }: NodeSetup, as: StartAs, known: NodeRecord): Partial<NodeRecord> {
  const { name, leader } = options
  // Started as a replica, a node is what the options say; otherwise it stays what it was.
  const standby =
    options.standby || ((as !== 'replica' || known.role === 'leader') && known.standby)
  const isNewLeader = leader !== undefined && leader !== known.givenLeader
  return {
    ...(name ? { node: name } : {}),
    ...(isNewLeader ? { givenLeader: leader, leader: known.role === 'leader' ? '' : leader } : {}),
    standby,
    role: known.role === 'leader' ? 'leader' : standby ? 'standby' : 'replica',
  }
}

/** A node that has led keeps its id: histories name it. Throws NODE_NAMED. */
function requireOwnName(
  { node: name }: Partial<NodeRecord>,
  { node, incarnation }: NodeRecord,
): void {
  if (name !== undefined && name !== node && incarnation !== '')
    throw new WalcastError('NODE_NAMED', { node, name })
}

function isChange(change: Partial<NodeRecord>, known: NodeRecord): boolean {
  return Object.entries(change).some(([key, value]) => known[key as keyof NodeRecord] !== value)
}

function sayRole({ log }: NodeSetup, as: StartAs, { role, leader }: NodeRecord): void {
  const isAsked = as === 'node' || (as === 'leader') === (role === 'leader')
  if (isAsked) return
  const follows = role === 'leader' ? undefined : leader || 'nobody yet'
  log.warn(
    { role, follows, startedAs: as },
    `started as a ${as}, runs as a ${role}: the role file counts; ` +
      'walcast switchover, promote and demote change it',
  )
}

export function warnOfLinks(path: string, { log }: NodeSetup): void {
  if (linkCount(path) <= 1) return
  log.warn(
    { path },
    'this file has a second name (a hard link), and a program that opens it by that name ' +
      'corrupts it; remove the other name',
  )
}
