/**
 * The folder of a node beside its database: the lock that keeps a second node out, and the role
 * file as a start finds and leaves it.
 */
import { NodeFile, type NodeRecord, newId } from '../cluster/nodeFile.ts'
import type { NodeSetup } from '../database/engine.ts'
import { WalcastError } from '../errors.ts'
import { type FileOps, makeFolder } from '../platform/fileOps.ts'
import { foundAt, inspectDatabase, isBlankDatabase, isOnePage } from '../sqlite/databaseFiles.ts'
import { exec, isBusy, open, type SqliteThread } from '../sqlite/sqliteThread.ts'
import { keepOthersOut } from './folderAccess.ts'

/** As what a node is started: in one role, or in the one that its role file says. */
export type StartAs = 'leader' | 'replica' | 'node'

/** Held until the process ends. */
export const LOCK_CONNECTION = 'node-lock'

export class NodeFolder {
  readonly path: string
  readonly #db: string
  readonly #setup: NodeSetup
  readonly #as: StartAs
  readonly #first: NodeRecord

  /**
   * Fails fast, before anything is made, when the file at `db` cannot be for the role that the node
   * would have.
   */
  constructor(db: string, setup: NodeSetup, as: StartAs) {
    this.path = `${db}-walcast`
    this.#db = db
    this.#setup = setup
    this.#as = as
    this.#first = firstRecord(setup, as)
    if (this.#isForeign() && !isOnePage(db)) throw new WalcastError('NOT_A_COPY', { path: db })
  }

  /**
   * Nothing that was seen before it has the lock counts: another node of this folder may have ended
   * only now. Throws ALREADY_RUNNING, NODE_NAMED, DISK_FULL or WRITE_FAILED, and what the
   * constructor throws.
   */
  async open(thread: SqliteThread, ops: FileOps): Promise<NodeFile> {
    await this.#refuseForeign(thread)
    makeFolder(this.path)
    keepOthersOut(this.path, this.#setup.log)
    await takeNodeLock(thread, this.#db, this.path)
    await this.#refuseForeign(thread)
    const nodeFile = await NodeFile.open(this.path, ops, this.#first)
    const change = givenNow(this.#setup, this.#as, nodeFile.record)
    requireOwnName(change, nodeFile.record)
    // As the node that it was one starts on a full disk too.
    if (isChange(change, nodeFile.record))
      await nodeFile.update(change).catch(async (error) => {
        await nodeFile.stop()
        throw error
      })
    sayRole(this.#setup, this.#as, nodeFile.record)
    return nodeFile
  }

  /**
   * Whether something lies in the place of a copy and no node has been here. Throws what a leader's
   * database or a stray log does.
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
 * An exclusive SQLite lock on a file of the node's own: it goes with the process, however that
 * ends.
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

/** Of a node that is started for the first time. */
function firstRecord({ options }: NodeSetup, as: StartAs): NodeRecord {
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
  }
}

/**
 * What of the options changes the role file. A leader's address that is given anew counts; one that
 * is given again does not undo a change of role.
 */
function givenNow({ options }: NodeSetup, as: StartAs, known: NodeRecord): Partial<NodeRecord> {
  const { name, leader } = options
  // As a replica a node is what it is started as; otherwise it stays what it was.
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

/** Histories name who led in them: a node that has led keeps its id. */
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
    `started as a ${as}, goes on as a ${role}: the role file counts; switchover, promote and demote change it`,
  )
}
